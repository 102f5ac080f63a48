/** Many processes that start at once, at a server with few connections. */
import { startPostgres, type PostgresServer } from '@fieldseal/test-support';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFieldSeal, type FieldSeal } from '../../src/keys/create-field-seal.js';
import { createKeyFile } from '../../src/kms/local/create-key-file.js';
import { localKeks } from '../../src/kms/local/local-keks.js';
import { keyStoreSource } from '../../src/service/key-store-source.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { expectCode } from './expect-code.js';
import { SCOPE } from './records.js';

/** 30 processes take up to 30 × (3 + 1) connections, and three of these are kept for superusers. */
const STARTS = 30;
const PURPOSES = ['card-number', 'personal-data', 'reports'];
const FEW_KEYS = { pool: { validKeys: 2, handOut: 1, futureKeys: 1 } };

let server: PostgresServer;
let folder: string;
let kek: string;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-starts-'));
  kek = join(folder, 'a.kek');
  await createKeyFile(kek);
  server = await startPostgres({ settings: { max_connections: 100 } });
  await migrateKeyStore({ connectionString: server.url });
  url = await ordinaryRole();
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** The superuser of the tests has connections in reserve. */
async function ordinaryRole(): Promise<string> {
  await run(`CREATE ROLE app LOGIN PASSWORD 'secret'; GRANT ALL ON SCHEMA fieldseal TO app;
    GRANT ALL ON ALL TABLES IN SCHEMA fieldseal TO app; INSERT INTO fieldseal.role_applications VALUES ('app', 'shop')`);
  const app = new URL(server.url);
  [app.username, app.password] = ['app', 'secret'];
  return app.href;
}

async function run(sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function start(manage: boolean): Promise<FieldSeal> {
  return createFieldSeal({
    application: 'shop',
    environment: 'starts',
    purposes: Object.fromEntries(PURPOSES.map((purpose) => [purpose, FEW_KEYS])),
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: url }),
      kms: localKeks({ keks: Object.fromEntries(PURPOSES.map((purpose) => [purpose, [kek]])) }),
      manage,
    }),
  });
}

const connections = async (): Promise<unknown> =>
  (await run(`SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'app'`))[0]?.count;

test('thirty processes start at a server with a hundred connections', async () => {
  const started = await Promise.allSettled(Array.from({ length: STARTS }, () => start(true)));
  const failed = started.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : []));
  for (const one of started) if (one.status === 'fulfilled') await one.value.close();
  expect(failed).toEqual([]);
}, 120_000);

test('a process that only reads takes two connections', async () => {
  const seal = await start(false);
  expect(await connections()).toBe(2);
  await seal.close();
});

test('where no connection is left, the error says so and gives the arithmetic', async () => {
  const held = await Promise.all(
    Array.from({ length: 97 }, async () => {
      const client = new Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const store = postgresKeyStore({ connectionString: url });
  const { message } = await expectCode(store.list(SCOPE), 'ERR_STORE_UNAVAILABLE');
  expect(message).toContain('too many connections: N processes take up to N × (max + 1)');
  const starting = store.start();
  await Promise.all(held.map((client) => client.end()));
  await starting;
  await store.close();
});
