/** Statements that a database role with INSERT alone is denied, refused before they are sent, with what works instead. */
import { QueryError } from '../errors.js';
import type { ExpressionMapInternals } from './internals.js';
import type { BuilderContext } from './query-builders.js';

/** By kind of statement; those that are not here are let through. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  [
    'select',
    'reads nothing of it. save() of an entity that has an id (one that a property initializer makes, for instance) reads ' +
      'its row first: use insert(). For roles that may read plain columns attach with selectCells: false as well',
  ],
  ['update', 'updates no row of it'],
  ['delete', 'deletes no row of it'],
  ['soft-delete', 'deletes no row of it'],
  ['restore', 'updates no row of it'],
]);

/** @throws QueryError `ERR_QUERY_INSERT_ONLY` for statements about encrypted entities that need more than INSERT. */
export function refuseBeyondInsert(
  { insertOnly, selectCells, columnsOf }: BuilderContext,
  map: ExpressionMapInternals,
): void {
  if (!insertOnly || (map.queryType === 'select' && !selectCells)) return;
  const encrypted = map.aliases.find(
    ({ hasMetadata, metadata }) => hasMetadata && columnsOf(metadata).length > 0,
  );
  const does = map.queryType === 'insert' ? moreThanInsert(map) : REFUSED.get(map.queryType);
  if (!encrypted || does === undefined) return;
  throw new QueryError(
    'ERR_QUERY_INSERT_ONLY',
    `${encrypted.metadata.name} has encrypted fields, and this DataSource is attached with insertOnly: it ${does}.`,
  );
}

function moreThanInsert({ onUpdate, returning }: ExpressionMapInternals): string | undefined {
  if (onUpdate)
    return 'neither reads nor updates rows, as an upsert does. Use insert(), or orIgnore() of a query builder';
  if (returning) return 'reads nothing back. Leave returning() out';
  return undefined;
}
