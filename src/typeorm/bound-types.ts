/**
 * The column types that a cell can be bound to: those whose value has one exact form in the database. Dates, floats,
 * numeric, char(n) (padded), enum and json have several.
 */
import { isUint8Array } from 'node:util/types';
import type { BoundKind } from '../cell/binding.js';
import { SealError } from '../errors.js';
import type { Family } from './column-types.js';
import type { ColumnMetadata } from './internals.js';

export interface BoundType {
  readonly kind: BoundKind;
  /** What the driver sent or received in the form that is bound; values without one are given on, and refused there. */
  readonly exact: (value: unknown, column: ColumnMetadata) => unknown;
  /** Whether `=` in SQL finds this very value and no other. */
  readonly isFoundExactly: (column: ColumnMetadata) => boolean;
}

const always = (): boolean => true;
const asItIs = (value: unknown): unknown => value;
const plain = (kind: BoundKind): BoundType => ({ kind, exact: asItIs, isFoundExactly: always });

// Collations may ignore case, accents and spaces at the end.
const TEXT: BoundType = { ...plain('text'), isFoundExactly: ({ collation }) => collation === undefined };
const COLLATED_TEXT: BoundType = { ...plain('text'), isFoundExactly: () => false };
const UUID = plain('uuid');
const INTEGER = plain('integer');
/** SQLite's drivers give integers as numbers, so one that no number holds could be written and never be read. */
const SAFE_INTEGER: BoundType = { ...INTEGER, exact: toNumber };
/** Databases without a boolean type hold 1 and 0, and TypeORM sends those for some of its types. */
const BOOLEAN: BoundType = { ...plain('boolean'), exact: toBoolean };
const BINARY = plain('binary');
/** A shorter value is filled up by the database. */
const FIXED_BINARY: BoundType = { ...BINARY, exact: ofFullLength };

type Group = readonly [BoundType, readonly unknown[]];

const byType = (...groups: readonly Group[]): ReadonlyMap<unknown, BoundType> =>
  new Map(groups.flatMap(([bound, types]) => types.map((type) => [type, bound] as const)));

const TYPES: Readonly<Record<Family, ReadonlyMap<unknown, BoundType>>> = {
  postgres: byType(
    [TEXT, ['text', 'varchar', 'character varying', String]],
    [UUID, ['uuid']],
    [INTEGER, ['int', 'int2', 'int4', 'int8', 'integer', 'smallint', 'bigint', Number]],
    [BOOLEAN, ['boolean', 'bool', Boolean]],
    [BINARY, ['bytea']],
  ),
  mysql: byType(
    [COLLATED_TEXT, ['varchar', 'nvarchar', 'tinytext', 'text', 'mediumtext', 'longtext', String]],
    [UUID, ['uuid']],
    [INTEGER, ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint', Number]],
    [BOOLEAN, ['boolean', 'bool', Boolean]],
    [BINARY, ['varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']],
    [FIXED_BINARY, ['binary']],
  ),
  sqlite: byType(
    [TEXT, ['text', 'varchar', 'nvarchar', String]],
    [UUID, ['uuid']],
    [SAFE_INTEGER, ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'int2', 'int8', 'bigint', Number]],
    [BOOLEAN, ['boolean', Boolean]],
    [BINARY, ['blob']],
  ),
};

export const boundTypeOf = (family: Family, column: ColumnMetadata): BoundType | undefined =>
  TYPES[family].get(column.type);

/** Bytes in a `binary` column; its length without one is 1. */
export const fixedLength = ({ type, length }: ColumnMetadata): number | undefined =>
  type === 'binary' ? Number(length || 1) : undefined;

function toNumber(value: unknown): unknown {
  return typeof value === 'bigint' || (typeof value === 'string' && /^[+-]?\d+$/u.test(value))
    ? Number(value)
    : value;
}

function toBoolean(value: unknown): unknown {
  if (value === 1) return true;
  return value === 0 ? false : value;
}

function ofFullLength(value: unknown, column: ColumnMetadata): unknown {
  const length = fixedLength(column);
  if (!isUint8Array(value) || value.length === length) return value;
  throw new SealError(
    'ERR_SEAL_BINDING',
    `Bound value ${column.propertyPath}: expected ${length} bytes, as many as its column has, got ${value.length}.`,
  );
}
