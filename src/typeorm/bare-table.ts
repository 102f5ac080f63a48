/** Statements that name the table of an entity instead of the entity: they would write values as they are. */
import { QueryError } from '../errors.js';
import type { QueryBuilderInternals } from './internals.js';
import type { BuilderContext } from './query-builders.js';

/** @throws QueryError `ERR_QUERY_UNSUPPORTED` when an entity with encrypted fields has this table. */
export function refuseBareTable(
  { dataSource, columnsOf }: BuilderContext,
  { expressionMap }: QueryBuilderInternals,
): void {
  if (expressionMap.mainAlias?.hasMetadata !== false) return;
  const table = expressionMap.mainAlias.tablePath?.split('.').at(-1)?.replaceAll(/["`]/gu, '');
  const entity = dataSource.entityMetadatas.find(
    (metadata) => metadata.tableName === table && columnsOf(metadata).length > 0,
  );
  if (!entity) return;
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `The table ${entity.tablePath} has encrypted columns: write to it through the entity ${entity.name}, not by its name.`,
  );
}
