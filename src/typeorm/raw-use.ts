/**
 * SQL fragments written by hand that name an encrypted column: a comparison with a cell never matches, an order or a
 * group by cells means nothing. Both are refused when the SQL is made; a test for NULL is let through.
 */
import { QueryError } from '../errors.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import type { AliasInternals, ExpressionMapInternals } from './internals.js';

type Clause = readonly [name: string, fragments: readonly string[]];

/** @throws QueryError `ERR_QUERY_UNSUPPORTED` naming the field and the clause. */
export function refuseRawUse(map: ExpressionMapInternals, columnsOf: ColumnsOf): void {
  let written: readonly Clause[] | undefined;
  for (const alias of map.aliases) {
    const columns = alias.hasMetadata ? columnsOf(alias.metadata) : [];
    for (const column of columns) refuseUseOf((written ??= clauses(map)), alias, column);
  }
}

function refuseUseOf(written: readonly Clause[], alias: AliasInternals, column: EncryptedColumn): void {
  const { propertyPath, databaseName } = column.cell;
  for (const [clause, fragments] of written) {
    for (const fragment of fragments) {
      // Most fragments are TypeORM's own and name other columns.
      if (!mentions(fragment, propertyPath) && !mentions(fragment, databaseName)) continue;
      if (!usePattern(alias.name, column).test(withoutLiterals(fragment))) continue;
      throw new QueryError(
        'ERR_QUERY_UNSUPPORTED',
        `${column.label} is encrypted and cannot be used in ${clause} written as SQL. ` +
          (clause === 'where'
            ? "Use an object instead, such as where({ property: value }): it is answered by the field's blind index."
            : 'Cells have no order and no equality; sort or group the opened values.'),
      );
    }
  }
}

const mentions = (fragment: string, name: string): boolean =>
  fragment.includes(name) || fragment.toLowerCase().includes(name.toLowerCase());

function clauses(map: ExpressionMapInternals): readonly Clause[] {
  return [
    ['where', [...strings(map.wheres), ...map.joinAttributes.flatMap((join) => join.condition ?? [])]],
    ['having', strings(map.havings)],
    ['order by', Object.keys(map.orderBys)],
    ['group by', [...map.groupBys]],
    ['distinct on', [...map.selectDistinctOn]],
  ];
}

/** Every string in the nested conditions of a builder. */
function strings(condition: unknown): string[] {
  if (typeof condition === 'string') return [condition];
  if (Array.isArray(condition)) return condition.flatMap(strings);
  if (typeof condition !== 'object' || condition === null || !('condition' in condition)) return [];
  return strings(condition.condition);
}

/** Text in quotes is data, whatever words are in it. */
const withoutLiterals = (sql: string): string => sql.replaceAll(/'(?:[^']|'')*'/gu, "''");

const patterns = new WeakMap<EncryptedColumn, Map<string, RegExp>>();

function usePattern(alias: string, column: EncryptedColumn): RegExp {
  const byAlias = patterns.get(column) ?? new Map<string, RegExp>();
  const pattern = byAlias.get(alias) ?? makePattern(alias, column);
  patterns.set(column, byAlias.set(alias, pattern));
  return pattern;
}

/** `alias.property`, `"alias"."column"` or the bare name, but no parameter `:name` and no test for NULL. */
function makePattern(alias: string, { cell }: EncryptedColumn): RegExp {
  const names = [cell.propertyPath, cell.databaseName].map(escape).join('|');
  const quote = '["`]?';
  return new RegExp(
    `(?<![\\w.:"\`])(?:${quote}${escape(alias)}${quote}\\.)?${quote}(?:${names})(?![\\w.])(?!${quote}\\s+IS\\s+(?:NOT\\s+)?NULL\\b)`,
    'iu',
  );
}

const escape = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');
