/** One transaction that is alone with its scope. */
import { createHash } from 'node:crypto';
import type { KeyScope, LockedKeyStore } from '../keys/ports.js';
import type { Connections, PgClient } from './connections.js';
import { LockGuard } from './lock-guard.js';
import { PostgresRows } from './postgres-rows.js';
import { describeScope } from './scopes.js';

/**
 * A holder of the lock that sends nothing for so long (frozen, or cut off without a word) is thrown out by the server,
 * so that one process cannot stop the others for ever. Making the first keys under a throttled KMS takes well less.
 */
const IDLE_IN_LOCK_MS = 120_000;

/**
 * Runs `work` in a transaction that holds the advisory lock of the scope until its end. The isolation level is named:
 * a snapshot from before the lock (REPEATABLE READ by a default of the role) would show `work` what others have changed.
 */
export function withPostgresLock<T>(
  connections: Connections,
  schema: string,
  lockTimeoutMs: number,
  scope: KeyScope,
  work: (locked: LockedKeyStore) => Promise<T>,
): Promise<T> {
  const what = `lock of ${describeScope(scope)}`;
  return connections.use(what, async (client) => {
    await beginLocked(connections, client, what, lockTimeoutMs, advisoryKey(schema, scope));
    const rows = new PostgresRows(schema, (doing, sql, values) =>
      connections.query(client, doing, sql, values),
    );
    const guard = new LockGuard(scope, rows);
    try {
      const result = await work(guard);
      await guard.end();
      await connections.query(client, `committing under the ${what}`, 'COMMIT');
      return result;
    } catch (error) {
      // The error of the work is the one to tell; what failed under the lock failed for it.
      await guard.end().catch(() => undefined);
      await connections.query(client, what, 'ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}

async function beginLocked(
  connections: Connections,
  client: PgClient,
  what: string,
  lockTimeoutMs: number,
  key: string,
): Promise<void> {
  const begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL lock_timeout = ${lockTimeoutMs};
    SET LOCAL idle_in_transaction_session_timeout = ${IDLE_IN_LOCK_MS}`;
  await connections.query(client, what, begin);
  const patience = lockTimeoutMs + connections.statementTimeoutMs;
  await connections.queryFor(patience, client, what, 'SELECT pg_advisory_xact_lock($1::bigint)', [key]);
}

/** Advisory locks are numbers of 64 bits per database: part of a hash, over lengths and names so that no two scopes read alike. */
export function advisoryKey(schema: string, scope?: KeyScope): string {
  const parts = ['fieldseal/v1/lock', schema];
  if (scope) parts.push(scope.application, scope.environment, scope.purpose);
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest();
  return String(hash.readBigInt64BE());
}
