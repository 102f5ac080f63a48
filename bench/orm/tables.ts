/**
 * The ground of the measurements: PostgreSQL, a key store in it, the KMS emulator, and two databases with the tables:
 * `pages` holds rows under every key of the pool and is only read, `inserts` is emptied before each insert.
 */
import { randomUUID } from 'node:crypto';
import { startPostgres } from '@fieldseal/test-support';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { createFieldSeal, keyStoreSource, type FieldSeal } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { EncryptedCard, PlainCard, PURPOSE, TextCard } from './entities.js';

const KEKS = ['alias/pii-a', 'alias/pii-b'];
const DATABASES = ['keys', 'pages', 'inserts'] as const;

/** Keys that the rows of `pages` lie under, and keys that the measured process seals with. */
export const PAGE_KEYS = 15;
export const POOL_KEYS = 3;

export type Way = 'encrypted' | 'plain' | 'text';

type Row = EncryptedCard | PlainCard | TextCard;

/** An entity and the rows that are inserted of it; row `i` has the same id in all ways. */
export interface Table {
  readonly way: Way;
  readonly entity: new () => Row;
  readonly rows: readonly Row[];
}

export interface Tables {
  readonly pages: DataSource;
  readonly inserts: DataSource;
  readonly tables: readonly Table[];
  /** Of the server. */
  readonly postgresVersion: string;
  readonly close: () => Promise<void>;
}

export async function openTables(rows: number): Promise<Tables> {
  const [server, kms] = await Promise.all([startPostgres(), startKmsEmulator({ createKeys: KEKS })]);
  const urls = await createDatabases(server.url);
  await migrateKeyStore({ connectionString: urls.keys });
  const tables = await seed(urls, kms, rows);
  const seal = await openSeal(urls.keys, kms, POOL_KEYS);
  const [pages, inserts] = await Promise.all([openSource(urls.pages, seal), openSource(urls.inserts, seal)]);
  await inserts.synchronize();
  const [version] = await pages.query<[{ server_version: string }]>('SHOW server_version');
  return {
    pages,
    inserts,
    tables,
    postgresVersion: version.server_version,
    close: async () => {
      await Promise.all([pages.destroy(), inserts.destroy()]);
      await seal.close();
      await Promise.all([server.stop(), kms.close()]);
    },
  };
}

type Urls = Readonly<Record<(typeof DATABASES)[number], string>>;

async function createDatabases(server: string): Promise<Urls> {
  const client = new Client({ connectionString: server });
  await client.connect();
  for (const name of DATABASES) await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return Object.fromEntries(DATABASES.map((name) => [name, new URL(`/${name}`, server).href])) as Urls;
}

function openSeal(keyStoreUrl: string, kms: KmsEmulator, handOut: number): Promise<FieldSeal> {
  return createFieldSeal({
    application: 'bench',
    environment: 'production',
    purposes: { [PURPOSE]: { pool: { validKeys: PAGE_KEYS, handOut } } },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: keyStoreUrl }),
      kms: awsKms({
        region: kms.region,
        endpoint: kms.endpoint,
        credentials: kms.credentials(),
        keks: { [PURPOSE]: KEKS },
      }),
    }),
  });
}

function openSource(url: string, seal: FieldSeal): Promise<DataSource> {
  const source = new DataSource({ type: 'postgres', url, entities: [EncryptedCard, PlainCard, TextCard] });
  return attachFieldSeal(source, seal).initialize();
}

/** Fills `pages` by a field seal that was handed every key of the pool, as many processes would together. */
async function seed(urls: Urls, kms: KmsEmulator, count: number): Promise<readonly Table[]> {
  const seal = await openSeal(urls.keys, kms, PAGE_KEYS);
  const source = await openSource(urls.pages, seal);
  try {
    await source.synchronize();
    const values = Array.from({ length: count }, (_, row) => ({
      id: randomUUID(),
      pan: String(4_000_000_000_000_000 + row),
      holder: `Holder of card ${row}`,
    }));
    const encrypted = values.map((value) => Object.assign(new EncryptedCard(), value));
    await source.manager.insert(EncryptedCard, encrypted);
    const sealed = await source.query<PlainCard[]>(
      'SELECT id, pan, pan_key, pan_bidx, holder, holder_key FROM encrypted_cards',
    );
    refuseOtherKeys(sealed);
    const plain = sealed.map((row) => Object.assign(new PlainCard(), row));
    const text = values.map((value) => Object.assign(new TextCard(), value));
    await source.manager.insert(PlainCard, plain);
    await source.manager.insert(TextCard, text);
    await source.query('VACUUM ANALYZE');
    return [
      { way: 'encrypted', entity: EncryptedCard, rows: encrypted },
      { way: 'plain', entity: PlainCard, rows: plain },
      { way: 'text', entity: TextCard, rows: text },
    ];
  } finally {
    await source.destroy();
    await seal.close();
  }
}

function refuseOtherKeys(sealed: readonly PlainCard[]): void {
  const keys = new Set(sealed.map((row) => row.pan_key)).size;
  if (keys !== PAGE_KEYS) throw new Error(`Expected rows under ${PAGE_KEYS} keys, got ${keys}.`);
}
