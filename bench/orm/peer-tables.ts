/** The ground of bench/peers.ts, as `tables.ts` is of bench/orm.ts; fieldseal comes from its packed tarball. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { startPostgres } from '@fieldseal/test-support';
import { createFieldSeal, keyStoreSource, type FieldSeal } from 'fieldseal';
import { awsKms } from 'fieldseal/aws-kms';
import { migrateKeyStore, postgresKeyStore } from 'fieldseal/postgres';
import { startKmsEmulator, type KmsEmulator } from 'fieldseal/testing';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { DataSource } from 'typeorm';
import { createDatabases, type Urls } from './databases.js';
import { CbcCard, FieldSealCard, GcmCard, GcmWideCard, PURPOSE } from './peer-entities.js';

const KEKS = ['alias/pii-a', 'alias/pii-b'];

/** Keys that the rows of `pages` lie under, and keys that the measured process seals with. */
export const PAGE_KEYS = 15;
export const POOL_KEYS = 3;

export type Way = 'fieldseal' | 'gcm' | 'gcmWide' | 'cbc';

type Row = FieldSealCard | GcmCard | GcmWideCard | CbcCard;

const ENTITIES: Readonly<Record<Way, new () => Row>> = {
  fieldseal: FieldSealCard,
  gcm: GcmCard,
  gcmWide: GcmWideCard,
  cbc: CbcCard,
};
const WAYS = Object.keys(ENTITIES) as readonly Way[];

/** Those of typeorm-encrypted have data sources of their own that fieldseal is not attached to. */
export interface Table {
  readonly way: Way;
  readonly entity: new () => Row;
  /** What is inserted; row `i` has the same id and values in all ways. */
  readonly rows: readonly Row[];
  readonly pages: DataSource;
  readonly inserts: DataSource;
}

export interface Tables {
  readonly tables: readonly Table[];
  /** Of the server. */
  readonly postgresVersion: string;
  readonly close: () => Promise<void>;
}

export async function openTables(count: number): Promise<Tables> {
  const [server, kms] = await Promise.all([startPostgres(), startKmsEmulator({ createKeys: KEKS })]);
  const urls = await createDatabases(server.url);
  await migrateKeyStore({ connectionString: urls.keys });
  const rows = rowsOf(count);
  await seed(urls, kms, rows);
  const seal = await openSeal(urls, kms, POOL_KEYS);
  const ours = await openBoth(urls, seal);
  const theirs = await openBoth(urls);
  await Promise.all([ours, theirs].map(({ inserts }) => inserts.synchronize()));
  const [version] = await ours.pages.query<[{ server_version: string }]>('SHOW server_version');
  return {
    tables: WAYS.map((way) => ({
      way,
      entity: ENTITIES[way],
      rows: rows[way],
      ...(way === 'fieldseal' ? ours : theirs),
    })),
    postgresVersion: version.server_version,
    close: async () => {
      const sources = [ours, theirs].flatMap(({ pages, inserts }) => [pages, inserts]);
      await Promise.all(sources.map((source) => source.destroy()));
      await seal.close();
      await Promise.all([server.stop(), kms.close()]);
    },
  };
}

type Rows = Readonly<Record<Way, readonly Row[]>>;

function rowsOf(count: number): Rows {
  const values = Array.from({ length: count }, (_, row) => ({
    id: randomUUID(),
    pan: String(4_000_000_000_000_000 + row),
    holder: `Holder of card ${row}`,
  }));
  const entities = WAYS.map((way) => {
    const wide = way === 'gcmWide' ? values.map(siblingsOf) : undefined;
    return [way, values.map((value, i) => Object.assign(new ENTITIES[way](), value, wide?.[i]))];
  });
  return Object.fromEntries(entities) as Rows;
}

const hashKey = randomBytes(32);
const keyIds = Array.from({ length: POOL_KEYS }, () => randomUUID());

/** What fieldseal makes while it inserts is made ahead here, so that writing it is all that is measured. */
function siblingsOf({ pan }: { readonly pan: string }, row: number): Omit<GcmWideCard, keyof GcmCard> {
  const keyId = keyIds[row % POOL_KEYS]!;
  const pan_hash = createHmac('sha256', hashKey).update(pan).digest().subarray(0, 16);
  return { pan_key: keyId, pan_hash, holder_key: keyId };
}

function openSeal(urls: Urls, kms: KmsEmulator, handOut: number): Promise<FieldSeal> {
  return createFieldSeal({
    application: 'bench',
    environment: 'production',
    purposes: { [PURPOSE]: { pool: { validKeys: PAGE_KEYS, handOut } } },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: urls.keys }),
      kms: awsKms({
        region: kms.region,
        endpoint: kms.endpoint,
        credentials: kms.credentials(),
        keks: { [PURPOSE]: KEKS },
      }),
    }),
  });
}

async function openBoth(urls: Urls, seal?: FieldSeal): Promise<Pick<Table, 'pages' | 'inserts'>> {
  return { pages: await open(urls.pages, seal), inserts: await open(urls.inserts, seal) };
}

function open(url: string, seal?: FieldSeal): Promise<DataSource> {
  const entities = seal ? [FieldSealCard] : [GcmCard, GcmWideCard, CbcCard];
  const source = new DataSource({ type: 'postgres', url, entities });
  return (seal ? attachFieldSeal(source, seal) : source).initialize();
}

/** Fills `pages` by a field seal that was handed every key of the pool, as many processes would together. */
async function seed(urls: Urls, kms: KmsEmulator, rows: Rows): Promise<void> {
  const seal = await openSeal(urls, kms, PAGE_KEYS);
  const [ours, theirs] = [await open(urls.pages, seal), await open(urls.pages)];
  try {
    for (const source of [ours, theirs]) await source.synchronize();
    for (const way of WAYS)
      await (way === 'fieldseal' ? ours : theirs).manager.insert(ENTITIES[way], [...rows[way]]);
    const [{ keys }] = await ours.query<[{ keys: string }]>(
      'SELECT count(DISTINCT pan_key) AS keys FROM fieldseal_cards',
    );
    if (keys !== String(PAGE_KEYS)) throw new Error(`Expected rows under ${PAGE_KEYS} keys, got ${keys}.`);
  } finally {
    await Promise.all([ours.destroy(), theirs.destroy()]);
    await seal.close();
  }
}
