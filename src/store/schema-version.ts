/** Which version the tables in a database have, and whether this package can work with them. */
import { StoreError } from '../errors.js';
import type { Connections, PgClient, TextResult } from './connections.js';
import { LATEST_VERSION, MIGRATIONS } from './migrations/index.js';
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
    `SELECT m.version::text, m.name, m.breaking::text FROM "${schema}".migrations AS m ORDER BY m.version`,
  );
  return versionOf(schema, rows);
}

/** Steps run in order and are never changed, so anything else was done by somebody else. */
function versionOf(schema: string, rows: TextResult['rows']): SchemaVersion {
  rows.forEach((row, i) => {
    const known = MIGRATIONS[i];
    const follows = row.version === String(i + 1);
    if (follows && (!known || (row.name === known.name && row.breaking === String(known.breaking)))) return;
    throw new StoreError(
      'ERR_STORE_ROW',
      `Key store, table migrations of schema ${schema}: expected step ${i + 1}${known ? ` "${known.name}" as this package knows it` : ''}, ` +
        'got a row that was changed or deleted. Put the table back from a backup.',
    );
  });
  return {
    version: rows.length,
    breaksThisPackage: rows.slice(LATEST_VERSION).some((row) => row.breaking !== 'false'),
  };
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
