/**
 * Where objects on encrypted fields: equality goes to the blind index, a test for NULL to the cell, everything else is
 * refused with the alternative. The user's operators are never changed; new ones are built.
 */
import {
  And,
  Equal,
  In,
  InstanceChecker,
  IsNull,
  Not,
  Or,
  type EntityMetadata,
  type FindOperator,
} from 'typeorm';
import { QueryError } from '../errors.js';
import { isPendingIndex, type FieldSealPages, type IndexValue } from '../keys/field-seal.js';
import { findColumn, type ColumnsOf, type EncryptedColumn } from './encrypted-column.js';
import type { Row, Searching } from './internals.js';
import { asNullTest } from './null-test.js';
import { isSealed } from './sealed.js';

type Operator = FindOperator<unknown>;

/** What a search needs, and who is told of the columns that are searched by their index. */
export interface Search {
  readonly seal: Pick<FieldSealPages, 'searchIndexes'>;
  readonly columnsOf: ColumnsOf;
  readonly builder: Pick<Searching, 'noteSearch'>;
}

/** Rewrites one where object with everything nested in it. Anything but plain nesting is left to TypeORM. */
export function rewriteWhere(search: Search, metadata: EntityMetadata, where: Row, prefix = ''): Row {
  const columns = search.columnsOf(metadata);
  const rewritten: Row = {};
  for (const [key, value] of Object.entries(where)) {
    const path = prefix + key;
    const column = findColumn(columns, path);
    if (column) {
      const [property, operator] = rewriteTest(search, column, value);
      rewritten[property] = operator;
    } else {
      rewritten[key] = rewriteNested(search, metadata, value, path);
    }
  }
  return rewritten;
}

function rewriteNested(search: Search, metadata: EntityMetadata, value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null || InstanceChecker.isFindOperator(value)) return value;
  if (metadata.hasEmbeddedWithPropertyPath(path)) {
    return rewriteWhere(search, metadata, value as Row, `${path}.`);
  }
  const relation = metadata.findRelationWithPropertyPath(path);
  if (!relation) return value;
  const inverse = relation.inverseEntityMetadata;
  if (Array.isArray(value)) {
    return value.map((one: Row) => rewriteWhere(search, inverse, one));
  }
  return rewriteWhere(search, inverse, value as Row);
}

/** The sibling property and what to compare it with. */
function rewriteTest(
  search: Search,
  column: EncryptedColumn,
  value: unknown,
): [property: string, operator: Operator] {
  if (value === null && column.isNullSearched) return [column.cell.propertyName, IsNull()];
  if (value === null || value === undefined) {
    throw unsupported(
      column,
      String(value),
      'Use IsNull() to find rows without a value, or leave the property out.',
    );
  }
  const nullTest = asNullTest(value);
  if (nullTest) return [column.cell.propertyName, nullTest];
  if (!column.index) {
    throw new QueryError(
      'ERR_QUERY_NO_BLIND_INDEX',
      `${column.label} is encrypted and has no blind index, so rows cannot be found by it. ` +
        'Declare blindIndex: true on the field (what it shows: docs/queries-and-leakage.md), or search by another field.',
    );
  }
  search.builder.noteSearch(column, []);
  return [column.index.propertyName, onIndex(search, column, value)];
}

type Rewrite = (
  operator: Operator,
  onto: (value: unknown) => Operator,
  indexes: (value: unknown) => readonly IndexValue[],
) => Operator;

const children = (operator: Operator): readonly unknown[] => operator.value as readonly unknown[];

/** The operators that a keyed hash can answer. */
const REWRITES: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  ['equal', (operator, onto) => onto(operator.value)],
  ['in', (operator, _, indexes) => In(children(operator).flatMap((value) => indexes(value)))],
  ['not', (operator, onto) => Not(onto(operator.child ?? operator.value))],
  ['and', (operator, onto) => And(...children(operator).map(onto))],
  ['or', (operator, onto) => Or(...children(operator).map(onto))],
  // Within And and Or the index stands for the cell: both are NULL together, unless the index is made later.
  ['isNull', () => IsNull()],
]);

function onIndex(search: Search, column: EncryptedColumn, value: unknown): Operator {
  const indexes = (plaintext: unknown) => {
    if (plaintext === null || plaintext === undefined) {
      throw unsupported(column, String(plaintext), 'Use IsNull() to find rows without a value.');
    }
    if (isSealed(plaintext)) throw unsupported(column, 'a value that is still sealed', 'Open it first.');
    const found = search.seal.searchIndexes(column.handle, plaintext);
    const pending = found.filter(isPendingIndex);
    if (pending.length > 0) search.builder.noteSearch(column, pending);
    return found;
  };
  const onto = (inner: unknown): Operator => onIndex(search, column, inner);
  if (!InstanceChecker.isFindOperator(value)) {
    const [first, ...others] = indexes(value);
    return others.length === 0 ? Equal(first) : In([first, ...others]);
  }
  if (column.isIndexedLater) refusePartly(column, value);
  const rewrite = REWRITES.get(value.type);
  if (rewrite) return rewrite(value, onto, indexes);
  throw unsupported(
    column,
    value.type,
    'A blind index answers equality only: a value, Equal, In, Not, IsNull, And, Or. ' +
      'For ranges and patterns keep a coarser plain column, or filter the opened values.',
  );
}

/** A row whose index is still to be made has none to compare: these would leave it out, or take it for one without a value. */
function refusePartly(column: EncryptedColumn, { type }: Operator): void {
  if (type === 'isNull')
    throw unsupported(column, 'isNull within And or Or', 'Its index is made later; use IsNull() alone.');
  if (type === 'not') {
    throw unsupported(
      column,
      'not',
      'Its index is made later, and rows that have none yet would be missed; filter the opened values.',
    );
  }
}

function unsupported(column: EncryptedColumn, what: string, advice: string): QueryError {
  return new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${column.label} is encrypted and cannot be compared by ${what}. ${advice}`,
  );
}
