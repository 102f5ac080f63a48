/**
 * The ground of the measurements: PostgreSQL, a key store in it, the KMS emulator, and two databases with the tables:
 * `pages` holds rows under every key of the pool and is only read, `inserts` is emptied before each insert.
 */
import { randomUUID } from 'node:crypto';
import { startPostgres } from '@fieldseal/test-support';
import { DataSource, type FindOptionsWhere, type ObjectLiteral } from 'typeorm';
import { createFieldSeal, keyStoreSource, type FieldSeal } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { createDatabases, type Urls } from './databases.js';
import {
  EncryptedCard,
  EncryptedOwner,
  PlainCard,
  PlainOwner,
  PURPOSE,
  TextCard,
  TextOwner,
} from './entities.js';

const KEKS = ['alias/pii-a', 'alias/pii-b'];

/** Keys that the rows of `pages` lie under, and keys that the measured process seals with. */
export const PAGE_KEYS = 15;
export const POOL_KEYS = 3;

export type Way = 'encrypted' | 'plain' | 'text';

type Row = EncryptedCard | PlainCard | TextCard;

const ENTITIES: Readonly<Record<Way, new () => Row>> = {
  encrypted: EncryptedCard,
  plain: PlainCard,
  text: TextCard,
};

type Owner = EncryptedOwner | PlainOwner | TextOwner;

const OWNERS: Readonly<Record<Way, new () => Owner>> = {
  encrypted: EncryptedOwner,
  plain: PlainOwner,
  text: TextOwner,
};

/** Look-ups by one value each, which is searched by its index. */
interface Searches {
  readonly cards: readonly FindOptionsWhere<ObjectLiteral>[];
  /** Of owners, whose cards come along. */
  readonly owners: readonly FindOptionsWhere<ObjectLiteral>[];
}

/** The rows that are inserted of an entity; row `i` has the same id in all ways. */
interface Rows {
  readonly way: Way;
  readonly rows: readonly Row[];
  readonly searches: Searches;
}

/** `plain` and `text` have data sources of their own that fieldseal is not attached to. */
export interface Table extends Rows {
  readonly entity: new () => Row;
  readonly owner: new () => Owner;
  readonly pages: DataSource;
  readonly inserts: DataSource;
}

export interface Tables {
  readonly tables: readonly Table[];
  /** How another process reaches `pages`. */
  readonly access: Access;
  /** Of the server. */
  readonly postgresVersion: string;
  readonly close: () => Promise<void>;
}

export interface Access {
  readonly urls: Urls;
  readonly kms: Pick<KmsEmulator, 'region' | 'endpoint'> & {
    readonly credentials: ReturnType<KmsEmulator['credentials']>;
  };
}

export async function openTables(rows: number): Promise<Tables> {
  const [server, kms] = await Promise.all([startPostgres(), startKmsEmulator({ createKeys: KEKS })]);
  const access: Access = {
    urls: await createDatabases(server.url),
    kms: { region: kms.region, endpoint: kms.endpoint, credentials: kms.credentials() },
  };
  const { urls } = access;
  await migrateKeyStore({ connectionString: urls.keys });
  const seeded = await seed(access, rows);
  const seal = await openSeal(access, POOL_KEYS);
  const [pages, inserts, plainPages, plainInserts] = await Promise.all([
    openAttached(urls.pages, seal),
    openAttached(urls.inserts, seal),
    openPlain(urls.pages),
    openPlain(urls.inserts),
  ]);
  await inserts.synchronize();
  const [version] = await pages.query<[{ server_version: string }]>('SHOW server_version');
  return {
    tables: seeded.map((rows) => ({
      ...rows,
      entity: ENTITIES[rows.way],
      owner: OWNERS[rows.way],
      pages: rows.way === 'encrypted' ? pages : plainPages,
      inserts: rows.way === 'encrypted' ? inserts : plainInserts,
    })),
    access,
    postgresVersion: version.server_version,
    close: async () => {
      await Promise.all([pages, inserts, plainPages, plainInserts].map((source) => source.destroy()));
      await seal.close();
      await Promise.all([server.stop(), kms.close()]);
    },
  };
}

/** Loads every row of `pages` in one way, in a process that does nothing else. Gives the number of rows. */
export async function findAll(access: Access, way: Way): Promise<number> {
  if (way !== 'encrypted') return findIn(await openPlain(access.urls.pages), way);
  const seal = await openSeal(access, POOL_KEYS);
  const found = await findIn(await openAttached(access.urls.pages, seal), way);
  await seal.close();
  return found;
}

async function findIn(source: DataSource, way: Way): Promise<number> {
  const found = await source.getRepository(ENTITIES[way]).find();
  await source.destroy();
  return found.length;
}

function openSeal({ urls, kms }: Access, handOut: number): Promise<FieldSeal> {
  return createFieldSeal({
    application: 'bench',
    environment: 'production',
    purposes: { [PURPOSE]: { pool: { validKeys: PAGE_KEYS, handOut } } },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: urls.keys }),
      kms: awsKms({
        region: kms.region,
        endpoint: kms.endpoint,
        credentials: kms.credentials,
        keks: { [PURPOSE]: KEKS },
      }),
    }),
  });
}

function openAttached(url: string, seal: FieldSeal): Promise<DataSource> {
  const entities = [...Object.values(ENTITIES), ...Object.values(OWNERS)];
  return attachFieldSeal(new DataSource({ type: 'postgres', url, entities }), seal).initialize();
}

function openPlain(url: string): Promise<DataSource> {
  const entities = [PlainCard, TextCard, PlainOwner, TextOwner];
  return new DataSource({ type: 'postgres', url, entities }).initialize();
}

/** Fills `pages` by a field seal that was handed every key of the pool, as many processes would together. */
async function seed(access: Access, count: number): Promise<readonly Rows[]> {
  const seal = await openSeal(access, PAGE_KEYS);
  const source = await openAttached(access.urls.pages, seal);
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
    const { emails, indexes } = await seedOwners(source, values);
    await source.query('VACUUM ANALYZE');
    const byPan = values.map(({ pan }) => ({ pan }));
    const byIndex = plain.map(({ pan_bidx }) => ({ pan_bidx }));
    return [
      { way: 'encrypted', rows: encrypted, searches: { cards: byPan, owners: emails } },
      { way: 'plain', rows: plain, searches: { cards: byIndex, owners: indexes } },
      { way: 'text', rows: text, searches: { cards: byPan, owners: emails } },
    ];
  } finally {
    await source.destroy();
    await seal.close();
  }
}

/** One owner for each card, and what they are searched by. */
async function seedOwners(source: DataSource, cards: readonly { readonly id: string }[]) {
  const owners = cards.map(({ id }, row) => ({
    id: randomUUID(),
    email: `owner-${row}@example.com`,
    card: { id },
  }));
  await source.manager.insert(EncryptedOwner, owners);
  await source.manager.insert(TextOwner, owners);
  const sealed = await source.query<(PlainOwner & { readonly card_id: string })[]>(
    'SELECT id, email, email_key, email_bidx, card_id FROM encrypted_owners ORDER BY id',
  );
  await source.manager.insert(
    PlainOwner,
    sealed.map(({ card_id, ...owner }) => ({ ...owner, card: { id: card_id } })),
  );
  return {
    emails: owners.map(({ email }) => ({ email })),
    indexes: sealed.map(({ email_bidx }) => ({ email_bidx })),
  };
}

function refuseOtherKeys(sealed: readonly PlainCard[]): void {
  const keys = new Set(sealed.map((row) => row.pan_key)).size;
  if (keys !== PAGE_KEYS) throw new Error(`Expected rows under ${PAGE_KEYS} keys, got ${keys}.`);
}
