/**
 * Proof at start, without a database, that this TypeORM still goes the way that these builders expect: an INSERT and an
 * UPDATE of every encrypted entity must carry a cell for each field and no plaintext, a search must carry indexes.
 * A future version that moves its internals becomes an error at start instead of plaintext in a table.
 */
import { isUint8Array } from 'node:util/types';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import type { EntityMetadata } from 'typeorm';
import type { BoundKind } from '../cell/binding.js';
import type { CodecName } from '../cell/codecs.js';
import { ConfigError, isFieldSealError } from '../errors.js';
import type { FieldSealPages } from '../keys/field-seal.js';
import { fixedLength } from './bound-types.js';
import type { EncryptedColumn } from './encrypted-column.js';
import { setProperty } from './derived-rows.js';
import { columnInternals, type ColumnMetadata, type Row, type SelectInternals } from './internals.js';
import { asSealing, makeBuilders, type BuilderContext } from './query-builders.js';

const MARK = 'fieldseal-canary';

/** A value of each type that is recognised wherever it shows up. A boolean has none; its cell is looked for instead. */
const CANARIES: Readonly<Record<CodecName, unknown>> = {
  string: MARK,
  number: 271828.1828459,
  bigint: 2718281828459045n,
  boolean: true,
  date: new Date('2718-02-08T12:34:56.789Z'),
  json: { canary: MARK },
  bytes: Buffer.from(MARK),
};

const SHOWN = new RegExp(
  [MARK, '271828.1828459', '2718281828459045', '2718-02-08', Buffer.from(MARK).toString('hex')].join('|'),
  'u',
);

const SAMPLES: Readonly<Record<Exclude<BoundKind, 'binary'>, unknown>> = {
  text: 'sample',
  uuid: '00000000-0000-4000-8000-000000000000',
  integer: 1,
  boolean: true,
};

const sampleBytes = (column: ColumnMetadata): Buffer => Buffer.alloc(fixedLength(column) ?? 1);

/** @throws ConfigError `ERR_CONFIG_ORM` naming the entity and the statement. */
export function selfCheck(context: BuilderContext): void {
  for (const metadata of context.dataSource.entityMetadatas) {
    const columns = context.columnsOf(metadata);
    if (columns.length === 0) continue;
    withoutTransformers(metadata, columns, () => {
      checkEntity(context, metadata, columns);
    });
  }
}

/**
 * Transformers of other columns are the application's, and expect values of its own types, where the rows of the check
 * have none or a sample. Synchronous, so nobody else sees the columns changed.
 */
function withoutTransformers(
  metadata: EntityMetadata,
  encrypted: readonly EncryptedColumn[],
  check: () => void,
): void {
  const cells = new Set(encrypted.map(({ cell }) => cell));
  const others = metadata.columns
    .filter((column) => !cells.has(column))
    .map((column) => [columnInternals(column), column.transformer] as const);
  for (const [column] of others) column.transformer = undefined;
  try {
    check();
  } finally {
    for (const [column, transformer] of others) column.transformer = transformer;
  }
}

function checkEntity(
  context: BuilderContext,
  metadata: EntityMetadata,
  columns: readonly EncryptedColumn[],
): void {
  const seal = canarySeal();
  const builders = makeBuilders({ ...context, seal, insertOnly: false });
  const builder = (): SelectInternals => asSealing(context.dataSource, builders, context.plainBuilder());
  const row = sampleRow(columns);
  const key = { ...sampleKey(metadata), ...sampleBound(columns) };
  const searched = columns.filter(({ index }) => index !== undefined);
  const search: Row = {};
  for (const { cell } of searched) setProperty(search, cell, cell.getEntityValue(row));

  const insert = builder().insert() as unknown as {
    into(target: unknown): { values(rows: Row[]): Statement };
  };
  expectSealed('INSERT', metadata, insert.into(metadata.target).values([row]), seal, columns.length);
  const update = builder().update(metadata.target, row) as unknown as { where(key: Row | string): Statement };
  const where = Object.keys(key).length > 0 ? key : '1 = 0';
  expectSealed('UPDATE', metadata, update.where(where), seal, columns.length);
  if (searched.length > 0) {
    const select = builder() as unknown as {
      select(alias: string): { from(target: unknown, alias: string): { where(where: Row): Statement } };
    };
    expectSealed(
      'SELECT',
      metadata,
      select.select('canary').from(metadata.target, 'canary').where(search),
      seal,
      searched.length,
    );
  }
}

interface Statement {
  getQueryAndParameters(): [string, unknown[]];
}

function expectSealed(
  kind: string,
  metadata: EntityMetadata,
  statement: Statement,
  seal: CanarySeal,
  expected: number,
): void {
  let parameters: unknown[];
  let sql: string;
  try {
    [sql, parameters] = statement.getQueryAndParameters();
  } catch (error) {
    const got = isFieldSealError(error) ? error.code : 'an error, which is its cause,';
    throw unknownOrm(kind, metadata, `got ${got} while the statement was made`, error);
  }
  const made = seal.take();
  const carried = made.filter((bytes) => parameters.includes(bytes));
  if (
    SHOWN.test(inspect([sql, parameters], { depth: 9, maxArrayLength: null, maxStringLength: null })) ||
    parameters.some(isCanaryBytes)
  ) {
    throw unknownOrm(kind, metadata, 'got a plaintext');
  }
  if (carried.length < expected)
    throw unknownOrm(kind, metadata, `got ${carried.length} of ${expected} sealed values`);
}

const isCanaryBytes = (value: unknown): boolean => isUint8Array(value) && Buffer.from(value).includes(MARK);

function unknownOrm(kind: string, metadata: EntityMetadata, got: string, cause?: unknown): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_ORM',
    `This version of TypeORM is not understood: an ${kind} of ${metadata.name} was expected to carry sealed values only, ${got}. ` +
      'Nothing was sent to the database. Use a version of TypeORM from the list in docs/typeorm.md.',
    { cause },
  );
}

interface CanarySeal extends FieldSealPages {
  /** Everything made since the last call. */
  take(): Buffer[];
}

/** Seals with random bytes in place of cells: the check is about where they go, and costs no key. */
function canarySeal(): CanarySeal {
  let made: Buffer[] = [];
  const make = (size: number) => {
    const bytes = randomBytes(size);
    made.push(bytes);
    return bytes;
  };
  return {
    access: 'read-write',
    application: MARK,
    environment: MARK,
    column: (declaration) => declaration,
    prepare: () => Promise.resolve({ close: () => undefined }),
    sealRows: (rows) =>
      rows.map(({ values }) => ({
        cells: values.map((value) => (value === undefined ? null : make(64))),
        fingerprints: values.map(() => '00000000-0000-4000-8000-000000000000'),
        indexes: values.map(() => randomBytes(16)),
        masks: values.map(() => 'mask'),
      })),
    openPage: () => Promise.resolve([]),
    searchIndexes: () => [make(16)],
    warn: () => undefined,
    take: () => {
      const all = made;
      made = [];
      return all;
    },
  };
}

function sampleRow(columns: readonly EncryptedColumn[]): Row {
  const row = sampleBound(columns);
  for (const { cell, handle } of columns) setProperty(row, cell, CANARIES[handle.codec]);
  return row;
}

function sampleBound(columns: readonly EncryptedColumn[]): Row {
  const row: Row = {};
  for (const { bound } of columns)
    for (const { column, kind } of bound)
      setProperty(row, column, kind === 'binary' ? sampleBytes(column) : SAMPLES[kind]);
  return row;
}

/** Any value will do: the statement is never sent. Empty where the key is a relation, whose value would be a row. */
function sampleKey(metadata: EntityMetadata): Row {
  const key: Row = {};
  for (const column of metadata.primaryColumns.filter(isPlain)) key[column.propertyName] = SAMPLES.integer;
  return key;
}

const isPlain = (column: ColumnMetadata): boolean => !column.relationMetadata && !column.embeddedMetadata;
