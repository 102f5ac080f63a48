/** Indexes of siblings whose field is declared several times: by a parent and its child, by two children in one table. */
import type { EntityMetadata } from 'typeorm';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import { metadataInternals, type ColumnMetadata } from './internals.js';

/**
 * TypeORM makes one column of such declarations and keeps every index, all under one name, which a database refuses where
 * it makes the table.
 */
export function leaveOneIndexEach(metadata: EntityMetadata, fields: readonly EncryptedColumn[]): void {
  const siblings = new Set<ColumnMetadata>(fields.flatMap(siblingsOf));
  const seen = new Set<string>();
  metadataInternals(metadata).indices = metadata.indices.filter(({ name, columns, isUnique }) => {
    if (!columns.every((column) => siblings.has(column))) return true;
    const index = `${isUnique ? 'unique ' : ''}${name}`;
    const isFirst = !seen.has(index);
    seen.add(index);
    return isFirst;
  });
}
