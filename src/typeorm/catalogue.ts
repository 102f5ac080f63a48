/** The encrypted columns of a data source as a plain list, for tools that know no ORM. */
import type { DataSource, EntityMetadata } from 'typeorm';
import type { EncryptedField, EncryptedTable } from '../keys/encrypted-table.js';
import { attachmentOf, schemaOnly, sealOf } from './attach.js';
import { withTypesOf } from './column-types.js';
import { bindColumns, siblingsOf, type ColumnsOf, type EncryptedColumn } from './encrypted-column.js';
import { internalsOf } from './internals.js';

/**
 * The tables with encrypted fields, by name. Builds the metadata of a data source that is not initialized yet; the
 * database is not asked.
 * @throws ConfigError as `attachFieldSeal` and `initialize()` do for a wrong declaration.
 */
export async function encryptedTables(dataSource: DataSource): Promise<readonly EncryptedTable[]> {
  if (!dataSource.isInitialized) {
    await withTypesOf(dataSource, () => internalsOf(dataSource).buildMetadatas());
  }
  const columnsOf: ColumnsOf =
    sealOf(dataSource) === undefined
      ? bindColumns(dataSource, schemaOnly)
      : attachmentOf(dataSource).columnsOf;
  const all = dataSource.entityMetadatas;
  const paths = [...new Set(all.map(({ tablePath }) => tablePath))];
  return paths
    .map((path) => all.filter(({ tablePath }) => tablePath === path))
    .map((metadatas) => tableOf(metadatas, columnsOf))
    .filter(({ fields }) => fields.length > 0)
    .sort((a, b) => compare(a.schema ?? '', b.schema ?? '') || compare(a.name, b.name));
}

/** Entities of one inheritance share a table. */
function tableOf(metadatas: readonly EntityMetadata[], columnsOf: ColumnsOf): EncryptedTable {
  const encrypted = metadatas.flatMap(columnsOf);
  const fields = new Map(encrypted.map((column) => [column.cell.databaseName, fieldOf(column)]));
  const own = new Set(
    encrypted.flatMap((column) => [column.cell, ...siblingsOf(column)].map((one) => one.databaseName)),
  );
  const columns = metadatas.flatMap((metadata) => metadata.columns);
  const names = (picked: typeof columns): string[] => [
    ...new Set(picked.map(({ databaseName }) => databaseName)),
  ];
  const [first] = metadatas;
  return {
    schema: first?.schema,
    name: first?.tableName ?? '',
    fields: [...fields.values()],
    plain: names(columns).filter((name) => !own.has(name)),
    primary: names(columns.filter(({ isPrimary }) => isPrimary)),
    numbered: names(
      columns.filter(
        ({ isGenerated, generationStrategy }) => isGenerated && generationStrategy === 'increment',
      ),
    ),
  };
}

function fieldOf({ label, handle, cell, key, index, mask }: EncryptedColumn): EncryptedField {
  return {
    label,
    purpose: handle.purpose,
    cell: cell.databaseName,
    key: key.databaseName,
    index: index?.databaseName,
    mask: mask?.databaseName,
  };
}

/** By code units, the same on every machine. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
