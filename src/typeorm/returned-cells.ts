/**
 * Cells that a statement returns (`RETURNING`). TypeORM merges returned rows into the objects that the statement is about
 * as the driver gave them. So cells and siblings are taken out of those rows first, and the objects get the values that
 * the rows hold; `raw` of the result keeps what the database returned.
 */
import { QueryError } from '../errors.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type {
  ColumnMetadata,
  QueryResultInternals,
  Row,
  RunnerInternals,
  WriteInternals,
} from './internals.js';
import { openPage } from './page.js';
import type { BuilderContext } from './query-builders.js';
import { inOrderOf } from './returned-rows.js';
import { asCell } from './stored-cell.js';
import { OpenedValue, SealedCell } from './transformer.js';

export interface ReturningStatement {
  readonly columns: readonly EncryptedColumn[];
  /** The objects that TypeORM merges the returned rows into. */
  readonly objects: readonly Row[];
  /** The rows that were sent, each with the one that it was derived from; asked for when the database has answered. */
  readonly written: () => readonly (readonly [derived: Row, from: Row])[];
}

type Context = Pick<BuilderContext, 'dataSource' | 'seal' | 'open'>;

/**
 * Runs a write; where it returns cells, its objects show what their rows hold.
 * @throws QueryError `ERR_QUERY_UNSUPPORTED` before anything is sent; what the opener throws, after the rows are written.
 */
export async function withReturnedCells<T extends { raw: unknown }>(
  context: Context,
  builder: WriteInternals,
  statement: ReturningStatement,
  write: () => Promise<T>,
): Promise<T> {
  const { columns, objects } = statement;
  const map = builder.expressionMap;
  const { returning } = map;
  if (!returning || !map.updateEntity || columns.length === 0 || objects.length === 0) return write();
  if (typeof returning === 'string') refuseUnknownRows(returning, statement);
  const properties = typeof returning === 'string' ? [] : returning;
  const added = neededBeside(properties, columns);
  if (added.length > 0) map.returning = [...properties, ...added.map(({ propertyPath }) => propertyPath)];
  const unshown = columns.flatMap(({ cell, key, index }) => [cell, key, ...(index ? [index] : [])]);
  let returned: Row[] | undefined;
  const merged = async (rows: Row[]): Promise<(Row | undefined)[]> => {
    returned = rows;
    const ordered = inOrderOf(context.dataSource, map, statement, rows);
    await showValues(context, statement, ordered);
    return ordered.map((row) => row && without(unshown, row));
  };
  try {
    const result = await mergingRows(builder, merged, write);
    const hidden = added.filter((column) => !map.extraReturningColumns.includes(column));
    if (returned) result.raw = hidden.length === 0 ? returned : returned.map((row) => without(hidden, row));
    return result;
  } finally {
    map.returning = returning;
  }
}

/** Runs a write on a query runner whose rows are `merged` into objects in the place of those that the database returned. */
async function mergingRows<T>(
  builder: WriteInternals,
  merged: (rows: Row[]) => Promise<(Row | undefined)[]>,
  write: () => Promise<T>,
): Promise<T> {
  const given = builder.queryRunner;
  const runner = builder.obtainQueryRunner();
  const asked: RunnerInternals = runner;
  const query: RunnerInternals['query'] = async (...args) => {
    const result = await asked.query(...args);
    // Only the statement itself is asked for with more than its rows; others begin and end its transaction.
    if (args[2] !== true) return result;
    const structured = result as QueryResultInternals;
    const rows = await merged(structured.records);
    return { ...structured, raw: rows, records: rows };
  };
  builder.queryRunner = new Proxy(runner, {
    get: (target, name, receiver): unknown =>
      name === 'query' ? query : Reflect.get(target, name, receiver),
  });
  try {
    return await write();
  } finally {
    builder.queryRunner = given;
    if (runner !== given) await runner.release();
  }
}

/** What a list of properties lacks: the mask of a returned cell, what it is bound to, and whose row it is. */
function neededBeside(
  returning: readonly string[],
  columns: readonly EncryptedColumn[],
): readonly ColumnMetadata[] {
  const returned = columns.filter(({ cell }) => returning.includes(cell.propertyPath));
  if (returned.length === 0) return [];
  const needed = returned.flatMap(({ mask, bound, previouslyBound }) => [
    ...(mask ? [mask] : []),
    ...[...bound, ...previouslyBound].map(({ column }) => column),
  ]);
  const all = new Set([...needed, ...returned[0]!.metadata.primaryColumns]);
  return [...all].filter(({ propertyPath }) => !returning.includes(propertyPath));
}

/** Text may return a cell without what it is bound to, or one of many without saying of which row. */
function refuseUnknownRows(returning: string, { columns, objects }: ReturningStatement): void {
  if (returning.includes('*')) return;
  const names = new Set(returning.toLowerCase().split(/[^\p{L}\p{N}_$]+/u));
  const column = columns.find(
    ({ cell, bound, previouslyBound }) =>
      names.has(cell.databaseName.toLowerCase()) &&
      bound.length + previouslyBound.length + objects.length > 1,
  );
  if (!column) return;
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${column.label} is encrypted, and returning() with SQL of its own does not tell which row a cell belongs to. ` +
      `Give it a list of properties, or '*'.`,
  );
}

async function showValues(
  { seal, open }: Context,
  { columns, objects, written }: ReturningStatement,
  rows: readonly (Row | undefined)[],
): Promise<void> {
  const known = valuesByCell(columns, written());
  const shown = objects.flatMap((object, at) => (rows[at] ? [{ object, row: { ...rows[at] } }] : []));
  for (const { cell } of columns) {
    for (const { object, row } of shown) {
      const bytes = asCell(row[cell.databaseName]);
      const own = bytes && known.get(textOf(bytes));
      // Two objects never share one array or date: those are opened for each of them.
      if (!own || (own.from !== object && typeof own.value === 'object')) continue;
      cell.setEntityValue(object, own.value);
      row[cell.databaseName] = undefined;
    }
  }
  const page = columns.map((column) => ({
    column,
    rawName: column.cell.databaseName,
    keyName: column.key.databaseName,
    rawNameOf: ({ databaseName }: ColumnMetadata) => databaseName,
    searchedBy: undefined,
  }));
  const copies = shown.map(({ row }) => row);
  await openPage(open, seal, page, copies, false);
  for (const { cell } of columns) {
    for (const { object, row } of shown) {
      const value = row[cell.databaseName];
      if (value !== undefined) cell.setEntityValue(object, value instanceof OpenedValue ? value.value : null);
    }
  }
}

/** The plaintext of every cell that the statement sent, and the row that it stood in. */
function valuesByCell(
  columns: readonly EncryptedColumn[],
  written: ReturnType<ReturningStatement['written']>,
): ReadonlyMap<string, { readonly value: unknown; readonly from: Row }> {
  const known = new Map<string, { readonly value: unknown; readonly from: Row }>();
  for (const { cell } of columns) {
    for (const [derived, from] of written) {
      const sealed: unknown = cell.getEntityValue(derived);
      if (sealed instanceof SealedCell)
        known.set(textOf(sealed.cell), { value: cell.getEntityValue(from), from });
    }
  }
  return known;
}

const textOf = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1');

/** A copy that lacks these columns. */
function without(columns: readonly ColumnMetadata[], row: Row): Row {
  const names = new Set(columns.map(({ databaseName }) => databaseName));
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.has(name)));
}
