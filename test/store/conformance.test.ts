import { afterAll, beforeAll, describe, test } from 'vitest';
import { memoryKeyStore } from '../../src/store/memory.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { keyStoreConformance, type KeyStoreFixture } from '../../src/testing/key-store-conformance.js';
import { freshDatabase, newPool, type FreshDatabase } from '../database.js';

let database: FreshDatabase;
let nextSchema = 0;

beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

function ofMemory(): Promise<KeyStoreFixture> {
  const store = memoryKeyStore();
  return Promise.resolve({ store, other: store, close: () => Promise.resolve() });
}

async function ofPostgresWithOneConnection(): Promise<KeyStoreFixture> {
  const options = { connectionString: database.url, schema: await freshSchema(), max: 1 };
  return {
    store: postgresKeyStore(options),
    other: postgresKeyStore(options),
    close: () => Promise.resolve(),
  };
}

/** A session whose settings differ from the usual ones in everything that changes how values are written. */
async function ofPoolWithOddSettings(): Promise<KeyStoreFixture> {
  const options =
    '-c DateStyle=German,DMY -c TimeZone=Asia/Kathmandu -c bytea_output=escape -c default_transaction_isolation=serializable -c search_path=pg_catalog';
  const pool = newPool({ connectionString: database.url, options, max: 3 });
  const schema = await freshSchema();
  return {
    store: postgresKeyStore({ pool, schema }),
    other: postgresKeyStore({ pool, schema }),
    close: () => pool.end(),
  };
}

async function freshSchema(): Promise<string> {
  const schema = `store_${++nextSchema}`;
  await migrateKeyStore({ connectionString: database.url, schema });
  return schema;
}

describe.each([
  ['memory', ofMemory],
  ['PostgreSQL with one connection', ofPostgresWithOneConnection],
  ["PostgreSQL through the caller's pool with odd settings", ofPoolWithOddSettings],
])('a key store on %s', (_, make) => {
  test.each(keyStoreConformance.map(({ name, run }) => [name, run] as const))('%s', (_name, run) =>
    run(make),
  );
});
