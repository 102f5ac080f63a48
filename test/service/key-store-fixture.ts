/** A migrated key store in a database of its own, and SQL that goes around everything that guards it. */
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import type { KeyStore } from '../../src/keys/ports.js';
import { freshDatabase, type FreshDatabase } from '../database.js';

const TABLES = ['data_keys', 'key_wraps', 'key_events'] as const;
export type TableName = (typeof TABLES)[number];

export interface Column {
  readonly table: TableName;
  readonly name: string;
  readonly type: string;
}

/** Words that CHECK constraints allow, where adding a letter is not one. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  kind: `CASE kind WHEN 'pair' THEN 'data' ELSE 'pair' END`,
  state: `CASE state WHEN 'RECRYPT' THEN 'DECRYPT' ELSE 'RECRYPT' END`,
  from_state: `CASE from_state WHEN 'RECRYPT' THEN 'DECRYPT' ELSE 'RECRYPT' END`,
  to_state: `CASE to_state WHEN 'RECRYPT' THEN 'DECRYPT' ELSE 'RECRYPT' END`,
  state_before: `coalesce(nullif('DECRYPT', state_before), 'RECRYPT')`,
};

const OTHER_VALUES: Readonly<Record<string, (name: string) => string>> = {
  uuid: () => 'gen_random_uuid()',
  text: (name) => OTHER_WORDS[name] ?? `coalesce(${name} || 'x', 'DECRYPT')`,
  bytea: (name) => `coalesce(set_byte(${name}, 0, get_byte(${name}, 0) # 1), '\\x01')`,
  integer: (name) => `${name} + 1000`,
  bigint: (name) => `${name} + 1000`,
  'timestamp with time zone': (name) => `coalesce(${name} + interval '1 day', now())`,
};

export class TestKeyStore {
  readonly database: FreshDatabase;

  private constructor(database: FreshDatabase) {
    this.database = database;
  }

  static async create(): Promise<TestKeyStore> {
    const database = await freshDatabase();
    await migrateKeyStore({ connectionString: database.url });
    return new TestKeyStore(database);
  }

  /** A store of its own, as another process would have one. */
  store(url = this.database.url): KeyStore {
    return postgresKeyStore({ connectionString: url, statementTimeout: 5_000, connectTimeout: 2_000 });
  }

  drop(): Promise<void> {
    return this.database.drop();
  }

  /** Runs statements as a superuser whose session no trigger, foreign key or row-level security stops. */
  async force(sql: string): Promise<void> {
    await this.database.query(`SET session_replication_role = replica; SET search_path = fieldseal; ${sql}`);
  }

  /** Every column of the key store's tables as the database knows them, so that a new one is not forgotten. */
  async columns(): Promise<readonly Column[]> {
    const rows = await this.database.query(
      `SELECT table_name AS "table", column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = 'fieldseal' AND table_name = ANY ($1) ORDER BY table_name, ordinal_position`,
      [[...TABLES]],
    );
    return rows as unknown as Column[];
  }

  /** Tables of the key store. */
  async tables(): Promise<readonly string[]> {
    const rows = await this.database.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'fieldseal' ORDER BY table_name",
    );
    return rows.map(({ name }) => String(name));
  }

  async change({ table, name, type }: Column, where: string): Promise<void> {
    await this.force(`UPDATE ${table} SET ${name} = ${OTHER_VALUES[type]!(name)} WHERE ${where}`);
  }

  async keep(): Promise<void> {
    for (const table of TABLES) {
      await this.force(
        `DROP TABLE IF EXISTS public.kept_${table}; CREATE TABLE public.kept_${table} AS TABLE ${table}`,
      );
    }
  }

  /** Puts the rows back as they were at `keep`. */
  async putBack(tables: readonly TableName[] = TABLES, where = 'true'): Promise<void> {
    for (const table of tables) {
      await this.force(
        `DELETE FROM ${table} WHERE ${where}; INSERT INTO ${table} SELECT * FROM public.kept_${table} WHERE ${where}`,
      );
    }
  }
}
