/** Reads in one snapshot, which a hot standby gives as well. */
import type { KeyMoment } from '../keys/ports.js';
import type { Connections } from './connections.js';
import { PostgresRows } from './postgres-rows.js';

const WHAT = 'reading at one moment';

/** REPEATABLE READ reads everything from the snapshot of its first statement; a standby has nothing stricter. */
export function atOneMoment<T>(
  connections: Connections,
  schema: string,
  work: (moment: KeyMoment) => Promise<T>,
): Promise<T> {
  return connections.use(WHAT, async (client) => {
    await connections.query(client, WHAT, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows: found } = await connections.query(
      client,
      WHAT,
      'SELECT pg_is_in_recovery()::text AS "isCopy"',
    );
    const rows = new PostgresRows(schema, (what, sql, values) =>
      connections.query(client, what, sql, values),
    );
    const result = await work({
      mayLag: found[0]?.isCopy === 'true',
      list: (scope, filter) => rows.list(scope, filter),
      find: (scope, fingerprints) => rows.find(scope, fingerprints),
      events: (scope, fromSeq) => rows.events(scope, fromSeq),
      lastEvent: (scope) => rows.lastEvent(scope),
      now: () => rows.now(),
    });
    await connections.query(client, WHAT, 'COMMIT');
    return result;
  });
}
