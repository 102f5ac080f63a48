import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { bundleScript, startScript } from '@fieldseal/test-support';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { KeyRecord, KeyStore } from '../../src/keys/ports.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { freshDatabase, newPool, type FreshDatabase } from '../database.js';
import { expectCode } from './expect-code.js';
import { aKey, anEvent, SCOPE } from './records.js';

const processFile = fileURLToPath(new URL('process.ts', import.meta.url));

/** For what happens soon, on a machine that may be busy. */
const PATIENTLY = { timeout: 10_000 };

let script: Awaited<ReturnType<typeof bundleScript>>;
let database: FreshDatabase;
let connectionString: string;
let store: KeyStore;

beforeAll(async () => {
  script = await bundleScript(processFile);
  database = await freshDatabase();
  connectionString = database.url;
});
afterAll(async () => {
  script.remove();
  await database.drop();
});
beforeEach(async () => {
  await database.query('DROP SCHEMA IF EXISTS fieldseal CASCADE');
  await migrateKeyStore({ connectionString });
  store = postgresKeyStore({ connectionString, max: 1 });
});
afterEach(() => store.close());

describe('the way to the database', () => {
  test("a pool of the caller's with all connections held is an error in time, and works again afterwards", async () => {
    const pool = newPool({ connectionString, max: 1 });
    const shared = postgresKeyStore({ pool, connectTimeout: 100 });
    const held = await pool.connect();
    const error = await expectCode(shared.list(SCOPE), 'ERR_STORE_UNAVAILABLE');
    expect(error.message).toContain('within 100 ms');
    held.release();
    expect(await shared.list(SCOPE)).toEqual([]);
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0]);
    await shared.close();
    await pool.end();
  });

  test('a database that is out of reach is an error that may be retried, without the password', async () => {
    const url = 'postgres://user:the-password@127.0.0.1:1/database';
    const away = postgresKeyStore({ connectionString: url });
    const calls = [
      () => away.start(),
      () => away.list(SCOPE),
      () => away.withLock(SCOPE, () => Promise.resolve()),
    ];
    for (const call of calls) {
      const error = await expectCode(call(), 'ERR_STORE_UNAVAILABLE');
      expect(error.retryable).toBe(true);
      expect(error.message).toContain('ECONNREFUSED');
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('the-password');
    }
    await expectCode(
      away.watch!(() => undefined),
      'ERR_STORE_UNAVAILABLE',
    );
    await away.close();
  });

  test('a server that takes the connection and says nothing is given up after connectTimeout', async () => {
    const silent = net.createServer(() => undefined);
    const { port } = await new Promise<net.AddressInfo>((resolve) =>
      silent.listen(0, '127.0.0.1', () => {
        resolve(silent.address() as net.AddressInfo);
      }),
    );
    const away = postgresKeyStore({
      connectionString: `postgres://u:p@127.0.0.1:${port}/d`,
      connectTimeout: 200,
    });
    const begun = performance.now();
    await expectCode(away.start(), 'ERR_STORE_UNAVAILABLE');
    await expectCode(
      away.watch!(() => undefined),
      'ERR_STORE_UNAVAILABLE',
    );
    expect(performance.now() - begun).toBeLessThan(4_500);
    await away.close();
    silent.close();
  });

  test('a wrong password is denied, and not repeated', async ({ skip }) => {
    const url = new URL(connectionString);
    url.password = 'not-the-password';
    if (await letsIn(url.href)) {
      console.log('skipped: this server asks for no password, so none is wrong');
      skip();
    }
    const away = postgresKeyStore({ connectionString: url.href });
    const error = await expectCode(away.start(), 'ERR_STORE_DENIED');
    expect(inspect(error, { depth: 9 })).not.toContain('not-the-password');
    await away.close();
  });

  test('a connection string that cannot be read is refused without being repeated', async () => {
    const away = postgresKeyStore({ connectionString: 'postgres://user:the-password@host:port:x/' });
    const error = await expectCode(away.start(), 'ERR_CONFIG_OPTION');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('the-password');
    await away.close();
  });

  test('without the package pg the error names it', async () => {
    // A folder outside the repository, where no package is found.
    const alone = await bundleScript(processFile, { folder: tmpdir() });
    const { code, stderr } = await startScript(alone.file, ['leave-open', connectionString]).ended;
    alone.remove();
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ERR_CONFIG_PEER_MISSING/) as string,
    });
    expect(stderr).toContain('npm install pg');
  });
});

describe('statements', () => {
  test('a statement that takes too long is given up, and the store goes on', async () => {
    const hurried = postgresKeyStore({ connectionString, max: 1, statementTimeout: 500 });
    await hurried.start();
    const blocker = await locker('LOCK TABLE fieldseal.data_keys IN ACCESS EXCLUSIVE MODE');
    const error = await expectCode(hurried.list(SCOPE), 'ERR_STORE_UNAVAILABLE');
    expect(error.message).toContain('Query read timeout');
    await blocker.end();
    await expect.poll(() => hurried.list(SCOPE).catch(() => 'not yet'), PATIENTLY).toEqual([]);
    await hurried.close();
  });

  test('a lock that another process holds is waited for no longer than lockTimeout', async () => {
    const holder = startScript(script.file, ['hold-lock', connectionString]);
    await holder.line('locked');
    const hurried = postgresKeyStore({ connectionString, max: 1, lockTimeout: 200 });
    const error = await expectCode(
      hurried.withLock(SCOPE, () => Promise.resolve()),
      'ERR_STORE_UNAVAILABLE',
    );
    expect(error.message).toContain('lockTimeout');
    expect(await hurried.list(SCOPE)).toEqual([]);
    await hurried.close();
    holder.kill();
    await holder.ended;
  });

  test('a refused row is an error without any of its values', async () => {
    const key = aKey({ commitment: randomBytes(31) });
    const work = store.withLock(SCOPE, (locked) => locked.insert(key));
    const error = await expectCode(work, 'ERR_STORE_ROW');
    expect(error.message).toContain('constraint data_keys_commitment_check');
    const all = inspect(error, { depth: 9, showHidden: true });
    for (const bytes of [key.commitment, key.rowMac]) expect(all).not.toContain(bytes.toString('hex'));
    expect(await store.list(SCOPE)).toEqual([]);
  });

  test('a connection that ends inside the lock fails the work and writes nothing', async () => {
    const work = store.withLock(SCOPE, async (locked) => {
      await locked.insert(aKey());
      await endConnections();
      return 'the work went on';
    });
    await expectCode(work, 'ERR_STORE_UNAVAILABLE');
    expect(await store.list(SCOPE)).toEqual([]);
    expect(await store.withLock(SCOPE, (locked) => locked.insert(aKey()))).toBe(true);
  });

  test('idle connections that end are replaced', async () => {
    await store.list(SCOPE);
    await endConnections();
    await expect.poll(() => store.list(SCOPE).catch(() => 'not yet'), PATIENTLY).toEqual([]);
  });
});

describe('other processes', () => {
  test('a process killed inside the lock leaves nothing half, and the lock is free', async () => {
    const patient = postgresKeyStore({ connectionString, lockTimeout: '20s' });
    const holder = startScript(script.file, ['hold-lock', connectionString]);
    await holder.line('locked');
    const next = patient.withLock(SCOPE, (locked) => locked.list(SCOPE));
    holder.kill('SIGKILL');
    expect(await next).toEqual([]);
    expect(await database.query('SELECT FROM fieldseal.key_wraps')).toEqual([]);
    await patient.close();
  });

  test('processes that change one key under its lock lose no change', async () => {
    await store.withLock(SCOPE, (locked) => locked.insert(aKey()));
    const scripts = [1, 2, 3].map(() => startScript(script.file, ['count', connectionString]));
    await Promise.all(scripts.map((running) => running.line('ready')));
    for (const running of scripts) running.send('go');
    for (const { code, stderr } of await Promise.all(scripts.map(({ ended }) => ended))) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    const [key] = await store.list(SCOPE);
    expect(key).toMatchObject({ cells: 60, revision: 61 });
  });

  test('a process with an open store ends by itself', async () => {
    const running = startScript(script.file, ['leave-open', connectionString]);
    await running.line('done');
    const done = performance.now();
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
    expect(performance.now() - done).toBeLessThan(5_000);
  });
});

describe('closing', () => {
  test('ends the connections of its own pool and of its watches', async () => {
    const own = postgresKeyStore({ connectionString });
    await own.watch!(() => undefined);
    await Promise.all([own.list(SCOPE), own.list(SCOPE)]);
    expect(await connectionCount()).toBe(3);
    await own.close();
    await expect.poll(connectionCount, PATIENTLY).toBe(0);
  });

  test("leaves the caller's pool open", async () => {
    const pool = newPool({ connectionString });
    const borrowing = postgresKeyStore({ pool });
    await borrowing.list(SCOPE);
    await borrowing.close();
    expect((await pool.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});

describe('a row that was changed outside the key service', () => {
  const key = aKey();

  beforeEach(async () => {
    await store.withLock(SCOPE, async (locked) => {
      await locked.insert(key);
      await locked.append([anEvent(1, key)]);
    });
    // Somebody who can write the tables can also drop what guards them.
    await database.query(`DO $$ DECLARE c record; BEGIN
      FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
        WHERE connamespace = 'fieldseal'::regnamespace AND contype = 'c' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname);
      END LOOP; END $$`);
    await database.query('ALTER TABLE fieldseal.key_events DISABLE TRIGGER USER');
  });

  test.each([
    ['data_keys', 'state', `'NONSENSE'`, 'one of FUTURE, ENCRYPT'],
    ['data_keys', 'state_before', `'nonsense'`, 'one of FUTURE, ENCRYPT'],
    ['data_keys', 'kind', `'other'`, 'one of data, pair, index, store'],
    ['data_keys', 'version', '-1', 'a whole number'],
    ['data_keys', 'commitment', `'\\x0102'`, '32 bytes'],
    ['data_keys', 'row_mac', `''`, '32 bytes'],
    ['data_keys', 'created', `'infinity'`, 'a finite time'],
    ['data_keys', 'retires', `'-infinity'`, 'a finite time or NULL'],
    ['data_keys', 'cells', '9007199254740992', 'a whole number from 0 to 2^53 - 1'],
    ['data_keys', 'bytes', '-5', 'a whole number'],
    ['key_wraps', 'created', `'infinity'`, 'a finite time'],
    ['key_events', 'to_state', `''`, 'one of FUTURE, ENCRYPT'],
    ['key_events', 'hash', `'\\x'`, '32 bytes'],
    ['key_events', 'at', `'294276-12-31'`, 'a finite time'],
  ])('%s.%s = %s is refused with its place and the expected %s', async (table, column, value, expected) => {
    await database.query(`UPDATE fieldseal.${table} SET ${column} = ${value}`);
    const read = (): Promise<unknown> => (table === 'key_events' ? store.events(SCOPE) : store.list(SCOPE));
    const { message } = await expectCode(read(), 'ERR_STORE_ROW');
    const row = table === 'key_events' ? '1' : key.fingerprint;
    expect(message).toContain(`table ${table}, row ${row}, column ${column}: expected ${expected}`);
    expect(message).not.toContain('NONSENSE');
  });

  test('a column that became empty is refused', async () => {
    await database.query('ALTER TABLE fieldseal.data_keys ALTER COLUMN revision DROP NOT NULL');
    await database.query('UPDATE fieldseal.data_keys SET revision = NULL');
    const { message } = await expectCode(store.find(SCOPE, [key.fingerprint]), 'ERR_STORE_ROW');
    expect(message).toContain('column revision: expected a whole number from 0 to 2^53 - 1, got NULL');
  });

  test('a column that is gone says that the tables do not fit the package', async () => {
    await database.query('ALTER TABLE fieldseal.data_keys DROP COLUMN prefixes');
    await expectCode(store.list(SCOPE), 'ERR_STORE_NOT_MIGRATED');
  });

  test('a key without wraps comes back without wraps', async () => {
    await database.query('DELETE FROM fieldseal.key_wraps');
    const [found] = await store.list(SCOPE);
    expect(found).toEqual({ ...key, wraps: [] } satisfies KeyRecord);
  });
});

async function locker(statement: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  await client.query(`BEGIN; ${statement}`);
  return client;
}

function endConnections(): Promise<unknown> {
  return database.query(
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'fieldseal'`,
  );
}

async function connectionCount(): Promise<number> {
  const [found] = await database.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'fieldseal'`,
  );
  return Number(found?.count);
}

/** Whether the server takes this connection string. */
async function letsIn(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}
