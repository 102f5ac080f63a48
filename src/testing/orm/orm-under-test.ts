/** What an ORM adapter gives the conformance suite: three tables with encrypted fields, and the ORM's own verbs on them. */

/**
 * Purpose `personal-data`. Encrypted: `name` (string, blind index that ignores case), `phone` (string, nullable),
 * `address` (json, nullable). Plain: `id` (uuid, primary), `status` (text, default `new`).
 */
export interface CustomerRow {
  id: string;
  status: string;
  name: string;
  phone: string | null;
  address: unknown;
}

/**
 * Purpose `card-number`. Encrypted: `pan` (string, unique blind index, bound to `id`).
 * Plain: `id` (uuid, primary), `note` (text, nullable).
 */
export interface CardRow {
  id: string;
  note: string | null;
  pan: string;
}

/** Purpose `personal-data`. One nullable encrypted field of every type; `padded` is a string with `pad: 16`. */
export interface ValueRow {
  id: number;
  text: string | null;
  amount: number | null;
  big: bigint | null;
  flag: boolean | null;
  born: Date | null;
  extra: unknown;
  photo: Buffer | null;
  padded: string | null;
}

/** A test of one field: a value for equality, or one of these. */
export type Test =
  | { readonly in: readonly unknown[] }
  | { readonly not: unknown }
  | { readonly isNull: true }
  | { readonly lessThan: unknown }
  | { readonly like: string };

export type Where<T> = { readonly [K in keyof T]?: T[K] | Test };

/** The verbs of one table. Each call goes through the ORM, as an application would make it. */
export interface OrmTable<T> {
  insert(rows: readonly Partial<T>[]): Promise<unknown>;
  update(where: Where<T>, set: Partial<T>): Promise<unknown>;
  /** Inserts the row, or updates the one that has the same `by`. */
  upsert(row: Partial<T>, by: keyof T & string): Promise<unknown>;
  remove(where: Where<T>): Promise<unknown>;
  find(where: Where<T>, select?: readonly (keyof T & string)[]): Promise<T[]>;
  findOneOrFail(where: Where<T>): Promise<T>;
  count(where: Where<T>): Promise<number>;
  findOrdered(by: keyof T & string): Promise<T[]>;
  /** For ORMs that write a loaded object back and find out by themselves what has changed. */
  readonly save?: (row: T) => Promise<T>;
  /**
   * One row past the ORM, by column name; siblings are `<field>_key` and `<field>_bidx`. Bytes as Buffer, fingerprints
   * as UUIDs in lower case; undefined where there is no such row.
   */
  raw(id: unknown): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** Overwrites columns of one row past the ORM. */
  tamper(id: unknown, columns: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** Empty tables and a field seal of their own. */
export interface OrmFixture {
  readonly customers: OrmTable<CustomerRow>;
  readonly cards: OrmTable<CardRow>;
  readonly values: OrmTable<ValueRow>;
  /** Everything that the ORM has sent to the database or logged since the last call, parameters included. */
  sent(): readonly string[];
  close(): Promise<void>;
}

export interface OrmCase {
  /** Row of the behaviour table in `docs/typeorm.md`. */
  readonly row: number;
  /** A sentence of behaviour. */
  readonly name: string;
  /** Rejects when the adapter does not behave so. */
  readonly run: (make: () => Promise<OrmFixture>) => Promise<void>;
}
