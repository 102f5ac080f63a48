/** Which version the tables in a database have, and whether this package can work with them. */
import { StoreError } from '../errors.js';
import type { Connections, PgClient } from './connections.js';
import { LATEST_VERSION } from './migrations/index.js';
import { MIGRATE_COMMAND } from './postgres-errors.js';

export interface SchemaVersion {
  /** 0 where there are no tables yet. */
  readonly version: number;
  /** Whether a step that this package does not know says that older packages stop working. */
  readonly breaksThisPackage: boolean;
}

export async function loadSchemaVersion(
  connections: Connections,
  client: PgClient,
  schema: string,
): Promise<SchemaVersion> {
  const what = `looking for the tables of schema ${schema}`;
  const find = `SELECT to_regclass('"${schema}".migrations') AS found`;
  const { rows: found } = await connections.query(client, what, find);
  if (found[0]?.found == null) return { version: 0, breaksThisPackage: false };
  const { rows } = await connections.query(
    client,
    what,
    `SELECT coalesce(max(version), 0)::text AS version,
      coalesce(bool_or(breaking) FILTER (WHERE version > $1), false)::text AS breaking FROM "${schema}".migrations`,
    [LATEST_VERSION],
  );
  return { version: Number(rows[0]?.version), breaksThisPackage: rows[0]?.breaking !== 'false' };
}

/** Newer tables are accepted as long as no step in between is marked as breaking, so that releases can be rolled out one by one. */
export function assertUsable(schema: string, { version, breaksThisPackage }: SchemaVersion): void {
  if (breaksThisPackage) throw newerError(schema, version);
  if (version >= LATEST_VERSION) return;
  const got = version === 0 ? 'no tables' : `version ${version}`;
  throw new StoreError(
    'ERR_STORE_NOT_MIGRATED',
    `Key store, schema ${schema}: expected version ${LATEST_VERSION}, got ${got}; run "${MIGRATE_COMMAND}".`,
  );
}

export function newerError(schema: string, version: number): StoreError {
  return new StoreError(
    'ERR_STORE_NEWER',
    `Key store, schema ${schema}: expected at most version ${LATEST_VERSION}, got version ${version}; update the package fieldseal.`,
  );
}
