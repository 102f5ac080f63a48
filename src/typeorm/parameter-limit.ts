/** More bind parameters than a database takes: an insert that fits without sibling columns may not fit with them. */
import { QueryError } from '../errors.js';
import type { QueryBuilderInternals } from './internals.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';

/**
 * Per statement, by type of DataSource. PostgreSQL's protocol counts them in 16 bits, and drivers do not look;
 * SQLITE_MAX_VARIABLE_NUMBER is 32,766 since 3.32. MySQL drivers write values into the text of the statement.
 */
const LIMITS: ReadonlyMap<string, number> = new Map([
  ['postgres', 65_535],
  ['cockroachdb', 65_535],
  ['sqlite', 32_766],
  ['better-sqlite3', 32_766],
  ['sqljs', 32_766],
]);

/** @throws QueryError `ERR_QUERY_PARAMETERS` for a statement about an encrypted entity that would not fit. */
export function refuseTooManyParameters(
  { dataSource, columnsOf }: BuilderContext,
  builder: QueryBuilderInternals,
  count: number,
): void {
  const limit = LIMITS.get(dataSource.options.type) ?? Infinity;
  if (count <= limit) return;
  const metadata = mainMetadata(builder);
  if (!metadata || columnsOf(metadata).length === 0) return;
  throw new QueryError(
    'ERR_QUERY_PARAMETERS',
    `${metadata.name}: expected at most ${limit} bind parameters in one statement, which is what ` +
      `${dataSource.options.type} takes, got ${count}; encrypted fields count with their sibling columns. ` +
      'Save in parts with save(rows, { chunk: 1000 }), or insert or name fewer rows at once.',
  );
}
