/** Which returned row is whose: TypeORM merges the first row into the first object, and so on, whatever the rows are. */
import { isUint8Array } from 'node:util/types';
import type { DataSource } from 'typeorm';
import { QueryError } from '../errors.js';
import type { ColumnMetadata, ExpressionMapInternals, Row } from './internals.js';
import type { ReturningStatement } from './returned-cells.js';

/**
 * The returned rows in the order of the objects; undefined for an object whose row was not returned. An UPDATE returns rows
 * as it finds them, an INSERT does not return those that it left alone.
 * @throws QueryError `ERR_QUERY_UNSUPPORTED` where the rows of several objects do not say whose they are.
 */
export function inOrderOf(
  dataSource: DataSource,
  { queryType }: ExpressionMapInternals,
  { objects, columns }: ReturningStatement,
  rows: readonly Row[],
): readonly (Row | undefined)[] {
  const isOrdered = queryType === 'insert' ? rows.length === objects.length : objects.length === 1;
  const hasCells = columns.some(({ cell }) => rows[0]?.[cell.databaseName] !== undefined);
  if (isOrdered || !hasCells) return rows;
  const { primaryColumns, name } = columns[0]!.metadata;
  const byId = new Map(rows.map((row) => [idOfRow(dataSource, primaryColumns, row), row]));
  const ids = objects.map((object) => idOf(primaryColumns, object));
  const known = new Set(ids);
  if ([...byId.keys()].every((id) => known.has(id))) return ids.map((id) => byId.get(id));
  // Objects without an id become the rows that they are given, their ids included.
  if (queryType === 'insert') return rows;
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${name}: the statement was sent, and the rows that it returned do not say whose they are. ` +
      'Give returning() a list of properties, or update one object at a time.',
  );
}

const idOf = (columns: readonly ColumnMetadata[], entity: object): string =>
  JSON.stringify(columns.map((column) => idText(column, column.getEntityValue(entity))));

function idOfRow({ driver }: DataSource, columns: readonly ColumnMetadata[], row: Row): string {
  const entity: Row = {};
  for (const column of columns)
    column.setEntityValue(entity, driver.prepareHydratedValue(row[column.databaseName], column));
  return idOf(columns, entity);
}

/** An id as the application and as the driver have it: UUIDs in either case, long numbers as text. */
function idText({ type }: ColumnMetadata, value: unknown): unknown {
  if (isUint8Array(value)) return Buffer.from(value).toString('hex');
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return typeof value === 'string' && type === 'uuid' ? value.toLowerCase() : value;
}
