import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { bundleScript, startScript } from '@fieldseal/test-support';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LATEST_VERSION, MIGRATIONS } from '../../src/store/migrations/index.js';
import { migrateKeyStore, postgresKeyStore, printMigrations } from '../../src/store/postgres.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { expectCode } from './expect-code.js';
import { SCOPE } from './records.js';

/** SHA-256 of the SQL of published steps, for the schema `fieldseal`. A published step never changes. */
const PUBLISHED = ['1a74fa811b8d51c6471efdb70151ed877cf1ce6ae1c6b461f6cc77c27ff0a3b1'];

let script: Awaited<ReturnType<typeof bundleScript>>;
let database: FreshDatabase;
let connectionString: string;

beforeAll(async () => {
  script = await bundleScript(fileURLToPath(new URL('process.ts', import.meta.url)));
  database = await freshDatabase();
  connectionString = database.url;
});
afterAll(async () => {
  script.remove();
  await database.drop();
});
afterEach(() => database.query('DROP SCHEMA IF EXISTS fieldseal CASCADE'));

test('migrating an empty database makes a store that starts; migrating again changes nothing', async () => {
  expect(await migrateKeyStore({ connectionString })).toEqual({ from: 0, to: LATEST_VERSION });
  const before = await catalog();
  expect(await migrateKeyStore({ connectionString })).toEqual({ from: LATEST_VERSION, to: LATEST_VERSION });
  expect(await catalog()).toEqual(before);
  await startedStore();
});

test('several processes that migrate at once end well, and one of them did it', async () => {
  const scripts = Array.from({ length: 4 }, () => startScript(script.file, ['migrate', connectionString]));
  await Promise.all(scripts.map((running) => running.line('ready')));
  for (const running of scripts) running.send('go');
  const ends = await Promise.all(scripts.map(({ ended }) => ended));
  expect(ends.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
    ends.map(() => ({ code: 0, stderr: '' })),
  );
  const started = ends.filter(({ stdout }) => stdout.includes('migrated 0'));
  expect(started.length).toBeGreaterThanOrEqual(1);
  const applied = await database.query('SELECT version FROM fieldseal.migrations ORDER BY version');
  expect(applied).toEqual(MIGRATIONS.map(({ version }) => ({ version })));
  await startedStore();
});

test('a process killed while it migrates leaves nothing behind, and the next one migrates', async () => {
  // An uncommitted table of the same name stops the step in its middle, after it has made its first table.
  await database.query('CREATE SCHEMA fieldseal');
  const blocker = new Client({ connectionString });
  await blocker.connect();
  await blocker.query('BEGIN; CREATE TABLE fieldseal.data_keys ()');
  const running = startScript(script.file, ['migrate', connectionString]);
  await running.line('ready');
  running.send('go');
  const pid = await waitingBackend();
  running.kill('SIGKILL');
  await running.ended;
  // The server notices a dead client when it next writes to it; ending its process is the same, now.
  await database.query('SELECT pg_terminate_backend($1, 5000)', [pid]);
  await blocker.query('ROLLBACK');
  await blocker.end();
  expect(await catalog()).toEqual([]);
  expect(await migrateKeyStore({ connectionString })).toEqual({ from: 0, to: LATEST_VERSION });
  await startedStore();
});

test('a newer schema is not migrated', async () => {
  await migrateKeyStore({ connectionString });
  await addFutureStep({ breaking: false });
  const error = await expectCode(migrateKeyStore({ connectionString }), 'ERR_STORE_NEWER');
  expect(error.message).toContain(
    `expected at most version ${LATEST_VERSION}, got version ${LATEST_VERSION + 1}`,
  );
});

test('a store starts on a newer schema unless a step in between is breaking', async () => {
  await migrateKeyStore({ connectionString });
  await addFutureStep({ breaking: false });
  await startedStore();
  await addFutureStep({ breaking: true });
  const store = postgresKeyStore({ connectionString });
  await expectCode(store.start(), 'ERR_STORE_NEWER');
  await store.close();
});

test('a changed row of the migrations table stops the start, whichever column it is', async () => {
  await migrateKeyStore({ connectionString });
  const changes = { version: 'version + 1', name: "name || 'x'", breaking: 'NOT breaking' };
  const columns = await database.query(
    "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'fieldseal' AND table_name = 'migrations'",
  );
  expect(columns.map(({ name }) => name).sort()).toEqual(Object.keys(changes).sort());
  for (const [column, changed] of Object.entries(changes)) {
    const [before] = await database.query(`SELECT ${column} AS value FROM fieldseal.migrations`);
    await database.query(`UPDATE fieldseal.migrations SET ${column} = ${changed}`);
    const store = postgresKeyStore({ connectionString });
    const error = await expectCode(store.start(), 'ERR_STORE_ROW');
    expect(error.message).toContain('table migrations');
    await store.close();
    await expectCode(migrateKeyStore({ connectionString }), 'ERR_STORE_ROW');
    await database.query(`UPDATE fieldseal.migrations SET ${column} = $1`, [before!.value]);
  }
  await startedStore();
});

test('without tables every call says which command makes them', async () => {
  const store = postgresKeyStore({ connectionString });
  for (const call of [() => store.start(), () => store.list(SCOPE), () => store.lastEvent(SCOPE)]) {
    const error = await expectCode(call(), 'ERR_STORE_NOT_MIGRATED');
    expect(error.message).toContain('run "fieldseal store migrate"');
    expect(error.retryable).toBe(false);
  }
  await store.close();
});

test('without its database the store says so', async () => {
  const url = new URL(connectionString);
  url.pathname = '/there_is_no_such_database';
  const store = postgresKeyStore({ connectionString: url.href });
  const error = await expectCode(store.start(), 'ERR_STORE_NOT_MIGRATED');
  expect(error.message).toContain('the database does not exist');
  await store.close();
});

test('the printed SQL makes the same tables', async () => {
  await database.query(printMigrations());
  const printed = await catalog();
  expect(printed.length).toBeGreaterThan(40);
  await startedStore();
  await database.query('DROP SCHEMA fieldseal CASCADE');
  await migrateKeyStore({ connectionString });
  expect(await catalog()).toEqual(printed);
});

test('two schemas in one database are two stores', async () => {
  await migrateKeyStore({ connectionString });
  await migrateKeyStore({ connectionString, schema: 'second_store' });
  await startedStore('second_store');
});

test('a role that may not create tables is told so', async () => {
  const role = `plain_${new URL(connectionString).pathname.slice(-8)}`;
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`);
  const url = new URL(connectionString);
  [url.username, url.password] = [role, 'test'];
  const error = await expectCode(migrateKeyStore({ connectionString: url.href }), 'ERR_STORE_DENIED');
  expect(error.message).toContain('SQLSTATE 42501');
  expect(await catalog()).toEqual([]);
  await database.query(`DROP ROLE ${role}`);
});

test('a step that was published stays as it was', () => {
  const hashes = MIGRATIONS.map(({ sql }) => createHash('sha256').update(sql('fieldseal')).digest('hex'));
  expect(hashes).toEqual(PUBLISHED);
  expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, i) => i + 1));
});

async function startedStore(schema = 'fieldseal'): Promise<void> {
  const store = postgresKeyStore({ connectionString, schema });
  await store.start();
  expect(await store.list(SCOPE)).toEqual([]);
  await store.close();
}

function addFutureStep({ breaking }: { readonly breaking: boolean }): Promise<unknown> {
  const values = `(SELECT max(version) + 1 FROM fieldseal.migrations), 'of the future', ${breaking}`;
  return database.query(`INSERT INTO fieldseal.migrations (version, name, breaking) SELECT ${values}`);
}

/** Everything in the schema: columns, constraints, indexes, triggers, policies. */
function catalog(): Promise<readonly Record<string, unknown>[]> {
  return database.query(`
    SELECT 'column' AS sort, table_name || '.' || column_name || ' ' || data_type AS name
      FROM information_schema.columns WHERE table_schema = 'fieldseal'
    UNION ALL SELECT 'constraint', conname || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = to_regnamespace('fieldseal')
    UNION ALL SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'fieldseal'
    UNION ALL SELECT 'trigger', trigger_name || event_manipulation FROM information_schema.triggers
      WHERE trigger_schema = 'fieldseal'
    UNION ALL SELECT 'policy', tablename || policyname || qual FROM pg_policies WHERE schemaname = 'fieldseal'
    ORDER BY 1, 2`);
}

async function waitingBackend(): Promise<unknown> {
  const waiting = `SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'fieldseal' AND wait_event_type = 'Lock'`;
  for (;;) {
    const [found] = await database.query(waiting);
    if (found) return found.pid;
  }
}
