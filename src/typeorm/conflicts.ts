/** Which columns are equal in the row that an upsert carries and in the row that it finds. */
import type { EntityMetadata } from 'typeorm';
import type { BoundColumn } from './bound-columns.js';
import type { Family } from './column-types.js';
import type { ColumnMetadata } from './internals.js';

type Conflict = string | readonly string[] | undefined;

/**
 * Whether the row that an upsert finds has the same value in a column that it does not overwrite. PostgreSQL and SQLite
 * find it by the columns that the statement names; MySQL names none and finds it by any unique key of the table.
 */
export function isEqualOnConflict(
  family: Family,
  metadata: EntityMetadata,
  conflict: Conflict,
  { column, isFoundExactly }: BoundColumn,
): boolean {
  if (!isFoundExactly(column)) return false;
  if (family === 'mysql') return uniqueKeys(metadata).every((key) => key.includes(column));
  return Array.isArray(conflict) && conflict.includes(column.databaseName);
}

function uniqueKeys({ primaryColumns, uniques, indices }: EntityMetadata): (readonly ColumnMetadata[])[] {
  return [
    primaryColumns,
    ...uniques.map(({ columns }) => columns),
    ...indices.filter(({ isUnique }) => isUnique).map(({ columns }) => columns),
  ];
}
