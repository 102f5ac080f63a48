/** Encrypted fields may not stand in foreign keys, nor in joins by other columns than a primary key. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import type { ColumnMetadata } from './internals.js';

/** Columns that a foreign key or a join compares with others: in its own table, and in the one that it refers to. */
export function referencedColumns({ entityMetadatas }: DataSource): ReadonlySet<ColumnMetadata> {
  const keys = entityMetadatas.flatMap(({ foreignKeys }) => foreignKeys);
  const joins = entityMetadatas.flatMap(({ columns }) => columns.map((column) => column.referencedColumn));
  return new Set([
    ...keys.flatMap(({ columns, referencedColumns }) => [...columns, ...referencedColumns]),
    ...joins.filter((column) => column !== undefined),
  ]);
}

/** @throws ConfigError `ERR_CONFIG_FIELD` for a cell among them. */
export function refuseReferenced(
  metadata: EntityMetadata,
  cell: ColumnMetadata,
  referenced: ReadonlySet<ColumnMetadata>,
): void {
  if (!referenced.has(cell)) return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${metadata.name}.${cell.propertyPath}: an encrypted field cannot stand in a foreign key or be joined by; cells differ at ` +
      'every sealing, so no two of them match. Refer to the row by its id.',
  );
}
