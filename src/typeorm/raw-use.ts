/**
 * SQL fragments written by hand that name an encrypted column: a comparison with a cell never matches, an order or a
 * group by cells means nothing. Both are refused when the SQL is made; a test for NULL is let through.
 */
import { QueryError } from '../errors.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import type { AliasInternals, ExpressionMapInternals } from './internals.js';

/** @throws QueryError `ERR_QUERY_UNSUPPORTED` naming the field and the clause. */
export function refuseRawUse(map: ExpressionMapInternals, columnsOf: ColumnsOf): void {
  for (const alias of map.aliases) {
    const columns = alias.hasMetadata ? columnsOf(alias.metadata) : [];
    if (columns.length === 0) continue;
    const mention = mentionPattern(columns);
    visitFragments(map, (clause, fragment) => {
      // Most fragments are TypeORM's own and name other columns.
      if (mention.test(fragment)) refuseUseIn(clause, fragment, alias, columns);
    });
  }
}

function refuseUseIn(
  clause: string,
  fragment: string,
  alias: AliasInternals,
  columns: readonly EncryptedColumn[],
): void {
  const sql = withoutLiterals(fragment);
  const column = columns.find((one) => usePattern(alias.name, one).test(sql));
  if (column === undefined) return;
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${column.label} is encrypted and cannot be used in ${clause} written as SQL. ` +
      (clause === 'where'
        ? "Use an object instead, such as where({ property: value }): it is answered by the field's blind index."
        : 'Cells have no order and no equality; sort or group the opened values.'),
  );
}

type Visit = (clause: string, fragment: string) => void;

function visitFragments(map: ExpressionMapInternals, visit: Visit): void {
  visitCondition('where', map.wheres, visit);
  for (const { condition } of map.joinAttributes) visitCondition('where', condition, visit);
  visitCondition('having', map.havings, visit);
  for (const fragment of Object.keys(map.orderBys)) visit('order by', fragment);
  for (const fragment of map.groupBys) visit('group by', fragment);
  for (const fragment of map.selectDistinctOn) visit('distinct on', fragment);
}

/** Every string in the nested conditions of a builder. */
function visitCondition(clause: string, condition: unknown, visit: Visit): void {
  if (typeof condition === 'string') visit(clause, condition);
  else if (Array.isArray(condition)) for (const one of condition) visitCondition(clause, one, visit);
  else if (typeof condition === 'object' && condition !== null && 'condition' in condition)
    visitCondition(clause, condition.condition, visit);
}

/** Text in quotes is data, whatever words are in it. */
const withoutLiterals = (sql: string): string => sql.replaceAll(/'(?:[^']|'')*'/gu, "''");

const mentions = new WeakMap<readonly EncryptedColumn[], RegExp>();

/** The name of any of the columns, wherever it stands. */
function mentionPattern(columns: readonly EncryptedColumn[]): RegExp {
  let pattern = mentions.get(columns);
  if (pattern === undefined) {
    pattern = new RegExp(columns.flatMap(namesOf).join('|'), 'iu');
    mentions.set(columns, pattern);
  }
  return pattern;
}

const patterns = new WeakMap<EncryptedColumn, Map<string, RegExp>>();

function usePattern(alias: string, column: EncryptedColumn): RegExp {
  const byAlias = patterns.get(column) ?? new Map<string, RegExp>();
  const pattern = byAlias.get(alias) ?? makePattern(alias, column);
  patterns.set(column, byAlias.set(alias, pattern));
  return pattern;
}

/** `alias.property`, `"alias"."column"` or the bare name, but no parameter `:name` and no test for NULL. */
function makePattern(alias: string, column: EncryptedColumn): RegExp {
  const names = namesOf(column).join('|');
  const quote = '["`]?';
  return new RegExp(
    `(?<![\\w.:"\`])(?:${quote}${escape(alias)}${quote}\\.)?${quote}(?:${names})(?![\\w.])(?!${quote}\\s+IS\\s+(?:NOT\\s+)?NULL\\b)`,
    'iu',
  );
}

const namesOf = ({ cell }: EncryptedColumn): string[] => [cell.propertyPath, cell.databaseName].map(escape);

const escape = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');
