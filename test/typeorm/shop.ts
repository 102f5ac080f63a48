/**
 * A shop on the database of the project that runs the test, its keys in a key store on PostgreSQL, its KEKs in the KMS
 * emulator.
 */
import {
  DataSource,
  type DataSourceOptions,
  type EntityTarget,
  type Logger,
  type ObjectLiteral,
} from 'typeorm';
import {
  createFieldSeal,
  keyStoreSource,
  type FieldSeal,
  type FieldSealEvent,
  type FieldSealOptions,
} from '../../src/index.js';
import { formatFingerprint } from '../../src/cell/fingerprint.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { Clock, KeyStore } from '../../src/keys/ports.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal, type AttachOptions } from '../../src/typeorm/index.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { newMacKey } from '../kms/mac-key.js';
import { asBuffer, dialect } from './databases.js';
import { Card, Customer, EveryType } from './entities.js';

/** Everything that TypeORM sends to the database or writes to its log. */
export class Recorder implements Logger {
  readonly statements: { sql: string; parameters: unknown[] }[] = [];
  readonly lines: string[] = [];

  logQuery(sql: string, parameters?: unknown[]): void {
    this.statements.push({ sql, parameters: parameters ?? [] });
    this.lines.push(sql, JSON.stringify(parameters ?? []));
  }
  logQueryError(error: string | Error, sql: string, parameters?: unknown[]): void {
    this.lines.push(String(error), sql, JSON.stringify(parameters ?? []));
  }
  logQuerySlow(_time: number, sql: string, parameters?: unknown[]): void {
    this.logQuery(sql, parameters);
  }
  logSchemaBuild(): void {
    /* Schema statements hold no data. */
  }
  logMigration(): void {
    /* Nor do migrations. */
  }
  log(_level: string, message: unknown): void {
    this.lines.push(String(message));
  }

  /** The statements of one kind since the last call of `clear`. */
  of(kind: 'INSERT' | 'UPDATE' | 'SELECT' | 'DELETE'): string[] {
    return this.statements.map(({ sql }) => sql).filter((sql) => sql.startsWith(kind));
  }
  clear(): void {
    this.statements.length = 0;
    this.lines.length = 0;
  }
}

export interface Shop {
  readonly kms: KmsEmulator;
  readonly database: FreshDatabase;
  readonly keyDatabase: FreshDatabase;
  readonly seal: FieldSeal;
  readonly dataSource: DataSource;
  readonly recorder: Recorder;
  readonly events: FieldSealEvent[];
  /** One row as the database has it, fingerprints as UUIDs in each of them. */
  raw(table: string, id: string | number): Promise<Record<string, unknown>>;
  /** All of them. */
  rawRows(table: string): Promise<Record<string, unknown>[]>;
  /** Overwrites columns of one row past TypeORM; takes what `raw` gives. */
  tamper(table: string, id: string | number, columns: Readonly<Record<string, unknown>>): Promise<unknown>;
  close(): Promise<void>;
}

export interface ShopOptions {
  /** A second process over the same keys and rows: closes only itself. */
  readonly beside?: Shop;
  /** Database server for rows and keys. Default: that of the run. */
  readonly server?: string;
  readonly clock?: Clock;
  /** In place of the real key store, to count or to break its calls. */
  readonly wrapStore?: (store: KeyStore) => KeyStore;
  readonly kmsOptions?: Partial<AwsKmsOptions> | ((kms: KmsEmulator) => Promise<Partial<AwsKmsOptions>>);
  readonly entities?: DataSourceOptions['entities'];
  readonly purposes?: FieldSealOptions['purposes'];
  readonly attach?: AttachOptions;
  readonly options?: Partial<DataSourceOptions>;
}

export const KEKS = {
  'card-number': ['alias/card-a', 'alias/card-b'],
  'personal-data': ['alias/pii-a', 'alias/pii-b'],
} as const;

const PURPOSES: FieldSealOptions['purposes'] = {
  'card-number': { class: 'pan', pool: { validKeys: 4, handOut: 3, futureKeys: 1 } },
  'personal-data': { pool: { validKeys: 4, handOut: 3, futureKeys: 1 } },
};

/** Blind indexes of both purposes are made by the KMS. */
export const KMS_INDEXES: Pick<ShopOptions, 'purposes' | 'kmsOptions'> = {
  purposes: Object.fromEntries(
    Object.entries(PURPOSES).map(([purpose, options]) => [purpose, { ...options, index: 'kms' }]),
  ),
  kmsOptions: async (kms) => ({
    macKeys: { 'card-number': await newMacKey(kms), 'personal-data': await newMacKey(kms) },
  }),
};

export async function openShop(options: ShopOptions = {}): Promise<Shop> {
  const places = options.beside ?? (await newPlaces(options.server));
  const { kms, database, keyDatabase } = places;
  const events: FieldSealEvent[] = [];
  const { kmsOptions } = options;
  const store = postgresKeyStore({ connectionString: keyDatabase.url });
  const seal = await createFieldSeal({
    application: 'shop',
    environment: 'test',
    purposes: options.purposes ?? PURPOSES,
    keys: keyStoreSource({
      store: options.wrapStore?.(store) ?? store,
      kms: awsKms({
        region: kms.region,
        endpoint: kms.endpoint,
        credentials: kms.credentials(),
        keks: KEKS,
        ...(typeof kmsOptions === 'function' ? await kmsOptions(kms) : kmsOptions),
      }),
    }),
    onEvent: (event) => events.push(event),
    ...(options.clock && { clock: options.clock }),
  });
  const recorder = new Recorder();
  const dataSource = attachFieldSeal(
    dataSourceOf(database.url, options.entities ?? [Customer, Card, EveryType], {
      logger: recorder,
      ...options.options,
    }),
    seal,
    options.attach,
  );
  await dataSource.initialize();
  if (!options.beside) await dataSource.synchronize();
  recorder.clear();
  return {
    kms,
    database,
    keyDatabase,
    seal,
    dataSource,
    recorder,
    events,
    raw: async (table, id) => {
      const [row] = await database.query(`SELECT * FROM "${table}" WHERE id = $1`, [id]);
      return (row && withFingerprints(row, asUuid))!;
    },
    rawRows: async (table) =>
      (await database.query(`SELECT * FROM "${table}"`)).map((row) => withFingerprints(row, asUuid)),
    tamper: (table, id, columns) => {
      const stored = withFingerprints(columns, dialect.fingerprint);
      const set = Object.keys(stored).map((name, i) => `${name} = $${i + 2}`);
      return database.query(`UPDATE "${table}" SET ${set.join(', ')} WHERE id = $1`, [
        id,
        ...Object.values(stored),
      ]);
    },
    close: async () => {
      if (dataSource.isInitialized) await dataSource.destroy();
      await seal.close();
      if (!options.beside) await Promise.all([kms.close(), database.drop(), keyDatabase.drop()]);
    },
  };
}

async function newPlaces(server?: string): Promise<Pick<Shop, 'kms' | 'database' | 'keyDatabase'>> {
  const [kms, database, keyDatabase] = await Promise.all([
    startKmsEmulator({ createKeys: Object.values(KEKS).flat(), unsafeOnPlaintext: recordKey }),
    server === undefined ? dialect.fresh() : freshDatabase(server),
    freshDatabase(server),
  ]);
  await migrateKeyStore({ connectionString: keyDatabase.url });
  return { kms, database, keyDatabase };
}

/** A DataSource that is not attached. */
export function dataSourceOf(
  url: string,
  entities: DataSourceOptions['entities'],
  more: Partial<DataSourceOptions> = {},
): DataSource {
  return new DataSource({
    ...dialect.options(url),
    entities,
    logging: more.logger !== undefined,
    ...more,
  } as DataSourceOptions);
}

/** The same row with its fingerprints in another form; they are told by the names that the entities give them. */
function withFingerprints(
  row: Readonly<Record<string, unknown>>,
  form: (fingerprint: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, /_(key|by)$/u.test(name) ? form(value) : value]),
  );
}

const asUuid = (fingerprint: unknown): unknown =>
  Buffer.isBuffer(fingerprint) ? formatFingerprint(fingerprint, 0) : fingerprint;

/** Reads an entity again, in a new object. */
export async function reload<T extends ObjectLiteral>(
  shop: Shop,
  target: EntityTarget<T>,
  id: unknown,
): Promise<T> {
  return shop.dataSource.getRepository(target).findOneByOrFail({ id } as never);
}

/** Fails unless `value` is a sealed cell that shows nothing of `plaintext`. */
export function isCellHiding(value: unknown, plaintext: string): boolean {
  const cell = asBuffer(value);
  return Buffer.isBuffer(cell) && cell[0] === 0xf5 && !cell.includes(plaintext);
}
