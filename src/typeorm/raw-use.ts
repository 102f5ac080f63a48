/**
 * Statements in which the database would compute with cells or compare them, refused when their SQL is made. What is ordered
 * or grouped by is looked at as the builder has it; the rest, TypeORM's own and what was written by hand, as text.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EntityMetadata } from 'typeorm';
import { QueryError } from '../errors.js';
import { readStatement, type Place } from './cell-uses.js';
import { familyOf } from './column-types.js';
import { findColumn, type ColumnsOf, type EncryptedColumn } from './encrypted-column.js';
import type { ExpressionMapInternals } from './internals.js';
import { mayKeepText } from './kept-sql.js';
import type { BuilderContext } from './query-builders.js';
import { SqlTables } from './sql-tables.js';
import { tokenizer, type Token } from './sql-tokens.js';

const WITHOUT_ORDER = 'Sort the opened values, or by a plain column that is made for it.';
const RECIPES = 'See docs/queries-and-leakage.md#sums-sorts-and-lists.';

/** What the database would do in each place, and what to do instead. */
const REFUSALS: Readonly<Record<Place, readonly [use: string, advice: string]>> = {
  where: [
    'compared in where',
    "Use an object instead, such as where({ property: value }): it is answered by the field's blind index.",
  ],
  join: ['compared in a join', 'Join by a plain column.'],
  expression: [
    'computed with',
    'Select the field as it is and compute with the opened values. COUNT and IS NULL work.',
  ],
  distinct: [
    'compared by DISTINCT',
    'Select the primary key too, compare the opened values, or use the column of the blind index.',
  ],
  'order by': ['used in order by', WITHOUT_ORDER],
  'group by': [
    'used in group by',
    'Group by a plain column or the column of the blind index, or group the opened values.',
  ],
  having: ['computed with in having', 'Compute with the opened values.'],
  set: ['used in the value of another column', 'Set the value itself.'],
  union: ['compared by a union', 'Use UNION ALL.'],
};

function refuse({ label }: EncryptedColumn, place: Place): never {
  const [use, advice] = REFUSALS[place];
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${label} is encrypted and cannot be ${use}: cells have no order and no equality. ${advice} ${RECIPES}`,
  );
}

/** @throws QueryError `ERR_QUERY_UNSUPPORTED` for a sum, an average, a minimum or a maximum. */
export function refuseAggregate(column: EncryptedColumn | undefined): void {
  if (column) refuse(column, 'expression');
}

type Columns = Pick<BuilderContext, 'columnsOf'>;

/** @throws QueryError `ERR_QUERY_UNSUPPORTED` for an order, given or of the entity, or a group that is an encrypted property. */
export function refuseOrder({ columnsOf }: Columns, map: ExpressionMapInternals): void {
  if (map.mainAlias === undefined) return;
  const refuseKey = (key: string, place: Place): void => {
    const column = columnBehind(columnsOf, map, key);
    if (column && !(place === 'group by' && isGroupedByKey(map, key))) refuse(column, place);
  };
  for (const key in map.allOrderBys) refuseKey(key, 'order by');
  for (const key of map.groupBys) refuseKey(key, 'group by');
  for (const key of map.selectDistinctOn) refuseKey(key, 'distinct');
}

function columnBehind(
  columnsOf: ColumnsOf,
  { aliases, selects }: ExpressionMapInternals,
  key: string,
): EncryptedColumn | undefined {
  const path = selects.find(({ aliasName }) => aliasName === key)?.selection ?? key;
  const dot = path.indexOf('.');
  const alias = aliases.find(({ name }) => name === path.slice(0, dot));
  return alias?.hasMetadata ? findColumn(columnsOf(alias.metadata), path.slice(dot + 1)) : undefined;
}

/** A group by the primary key has one row, whatever else it is grouped by. */
function isGroupedByKey({ aliases, groupBys }: ExpressionMapInternals, key: string): boolean {
  const name = key.slice(0, key.indexOf('.'));
  const alias = aliases.find((one) => one.name === name);
  if (!alias?.hasMetadata) return false;
  return alias.metadata.primaryColumns.every(({ propertyPath }) =>
    groupBys.includes(`${name}.${propertyPath}`),
  );
}

/** Statements that were read already are known again: the same few come all the time. */
const KEPT = { max: 1_000, maxSize: 4_000_000 };

/** TypeORM writes the ids of a page over joins into the text where they are numbers, so that each page has one of its own. */
const IDS = / IN \([\d, ]+\)/gu;

/**
 * The check of the texts of one data source.
 * @returns A function that throws QueryError `ERR_QUERY_UNSUPPORTED` naming the field and the place.
 */
export function textCheck({ dataSource, columnsOf }: BuilderContext): (sql: string) => void {
  const family = familyOf(dataSource);
  const mayKeep = mayKeepText(family);
  let known: readonly EntityMetadata[] | undefined;
  let tables: SqlTables;
  let tokensOf: (sql: string) => readonly Token[];
  let read: LRUCache<string, true>;

  return (sql) => {
    // Metadata is built anew by every `initialize()`.
    if (dataSource.entityMetadatas !== known) {
      known = dataSource.entityMetadatas;
      tables = new SqlTables(known, columnsOf);
      tokensOf = tokenizer(family);
      read = new LRUCache({ ...KEPT, sizeCalculation: (_, key) => key.length });
    }
    if (read.has(sql) || !tables.mayUseCells(sql)) return;
    const text = sql.replaceAll(IDS, ' IN ()');
    // A text in which values may stand is not held.
    const key = mayKeep(text) ? text : hash('sha256', text);
    if (read.has(key)) return;
    readStatement({ tables, refuse }, tokensOf(text));
    read.set(key, true);
  };
}
