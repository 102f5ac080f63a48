/**
 * Views over tables with encrypted columns. A view shows cells as bytes and finds nothing by them, so a view entity with
 * such a column is refused; its rows are read as raw ones and opened with `openRaw`.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';

/** @throws ConfigError `ERR_CONFIG_FIELD` for `@Encrypted` on a property of a view. */
export function refuseEncryptedView({ tableType }: EntityMetadata, label: string): void {
  if (tableType !== 'view') return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${label}: an encrypted field cannot be a column of a view, whose cells belong to another table. ${openingRaw('TheEntity')}`,
  );
}

/**
 * Looks for cells among the columns of views, by the names in their SQL: what a view computes from them, or takes from
 * another view, is not known.
 * @throws ConfigError `ERR_CONFIG_FIELD` naming the column of the view and the encrypted field.
 */
export function refuseViewsOfCells(dataSource: DataSource, columnsOf: ColumnsOf): void {
  const encrypted = dataSource.entityMetadatas.filter((metadata) => columnsOf(metadata).length > 0);
  if (encrypted.length === 0) return;
  for (const view of dataSource.entityMetadatas.filter(({ tableType }) => tableType === 'view')) {
    const sql = sqlOf(dataSource, view);
    for (const metadata of encrypted) refuseCells(view, sql, metadata, columnsOf(metadata));
  }
}

function refuseCells(
  view: EntityMetadata,
  sql: string,
  table: EntityMetadata,
  encrypted: readonly EncryptedColumn[],
): void {
  const names = namesIn(sql, table);
  if (names.length === 0) return;
  for (const { databaseName, propertyPath } of view.columns) {
    const field = encrypted.find(({ cell }) => shows(sql, names, cell.databaseName, databaseName));
    if (field === undefined) continue;
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${view.name}.${propertyPath}: expected a column that can be read from a view, got the cell of ${field.label}, which a ` +
        `view shows as bytes and finds nothing by. Leave it out of the entity. ${openingRaw(table.name)}`,
    );
  }
}

const openingRaw = (entity: string): string =>
  'To read it, select from the view as raw rows and open those: ' +
  `openRaw(dataSource, ${entity}, await dataSource.query('SELECT … FROM …'), { column: 'property' }).`;

/** As TypeORM makes it when it creates the view, without quotes. */
function sqlOf(dataSource: DataSource, { expression }: EntityMetadata): string {
  if (typeof expression !== 'function') return unquoted(expression ?? '');
  try {
    return unquoted(expression(dataSource).getQuery());
  } catch {
    // TypeORM calls it in migrations only, so it may need what is not there now: nothing is known of such a view.
    return '';
  }
}

const unquoted = (sql: string): string => sql.replaceAll(/["`[\]]/gu, '');

/** The table in this SQL: its name, and the aliases that it has there. */
function namesIn(sql: string, { tableName }: EntityMetadata): readonly string[] {
  const table = escape(tableName);
  const uses = sql.matchAll(
    new RegExp(`\\b(?:from|join)\\s+(?:\\w+\\.)*${table}\\b(?:\\s+(?:as\\s+)?(\\w+))?`, 'giu'),
  );
  return [...uses].flatMap(([, alias]) => (alias === undefined ? [table] : [table, escape(alias)]));
}

/** Whether a column of the view is this cell: by an alias, by its own name, or by all columns of its table. */
function shows(sql: string, tables: readonly string[], cell: string, column: string): boolean {
  const of = `(?<![\\w.])(?:(?:\\w+\\.)*(?:${tables.join('|')})\\.)?`;
  if (pattern(`${of}${escape(cell)}\\s+as\\s+${escape(column)}\\b`).test(sql)) return true;
  if (column !== cell || pattern(`\\bas\\s+${escape(column)}\\b`).test(sql)) return false;
  const isOfOther = pattern(`\\b\\w+\\.${escape(cell)}\\b`).test(sql);
  const isOfTable = pattern(`(?<![\\w.])(?:${tables.join('|')})\\.(?:${escape(cell)}\\b|\\*)`).test(sql);
  return isOfTable || !isOfOther;
}

const pattern = (source: string): RegExp => new RegExp(source, 'iu');

const escape = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');
