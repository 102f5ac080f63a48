/** Other properties over the physical columns of an encrypted field: what is written through them is not sealed. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import { familyOf, type Family } from './column-types.js';
import { siblingsOf, type ColumnsOf, type EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata } from './internals.js';

/** @throws ConfigError `ERR_CONFIG_FIELD` naming both properties. */
export function refuseSharedColumns(dataSource: DataSource, columnsOf: ColumnsOf): void {
  const { entityMetadatas } = dataSource;
  const placeOf = PLACES[familyOf(dataSource)];
  const owned = new Map<string, Owner>();
  for (const metadata of entityMetadatas)
    for (const column of columnsOf(metadata))
      for (const part of [column.cell, ...siblingsOf(column)])
        owned.set(placeOf(metadata, part), { column, part });
  if (owned.size === 0) return;
  for (const metadata of entityMetadatas) {
    const own = new Set(columnsOf(metadata).flatMap((column) => [column.cell, ...siblingsOf(column)]));
    for (const other of metadata.columns) {
      const owner = owned.get(placeOf(metadata, other));
      if (owner === undefined || own.has(other)) continue;
      // Another entity may read the bytes; within one, TypeORM has one name for both in its rows.
      const isReader = owner.column.metadata !== metadata && !other.isInsert && !other.isUpdate;
      if (!isReader) throw refusal(owner, metadata, other);
    }
  }
}

interface Owner {
  readonly column: EncryptedColumn;
  /** The cell or a sibling. */
  readonly part: ColumnMetadata;
}

type PlaceOf = (metadata: EntityMetadata, column: ColumnMetadata) => string;

const exactly: PlaceOf = ({ tablePath }, { databaseName }) => JSON.stringify([tablePath, databaseName]);
const inLowerCase: PlaceOf = (metadata, column) => exactly(metadata, column).toLowerCase();

/** Names that differ in case alone are one: of columns in MySQL and SQLite, of tables in SQLite and some servers of MySQL. */
const PLACES: Readonly<Record<Family, PlaceOf>> = {
  postgres: exactly,
  mysql: inLowerCase,
  sqlite: inLowerCase,
};

function refusal({ column, part }: Owner, metadata: EntityMetadata, other: ColumnMetadata): ConfigError {
  const { label } = column;
  const isSame = column.metadata === metadata;
  return new ConfigError(
    'ERR_CONFIG_FIELD',
    `${label}: expected the column ${part.databaseName} of ${metadata.tablePath} for this field alone, got it also in ` +
      `${metadata.name}.${other.propertyPath}, which is not encrypted: what is written there would be stored as it is. ` +
      (isSame
        ? 'Remove that property, or give its column another name.'
        : 'Remove that property, encrypt it the same way, or let it only read (insert: false, update: false).'),
  );
}
