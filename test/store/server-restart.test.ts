import { startPostgres, type PostgresServer } from '@fieldseal/test-support';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { KeyStore } from '../../src/keys/ports.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { expectCode } from './expect-code.js';
import { aKey, anEvent, SCOPE } from './records.js';

/** For what happens soon, on a machine that may be busy. */
const PATIENTLY = { timeout: 10_000 };

/** A server of its own, since it is killed; fsync, so that what was committed must be there afterwards. */
let server: PostgresServer;
let store: KeyStore;

beforeAll(async () => {
  server = await startPostgres({ fsync: true });
  await migrateKeyStore({ connectionString: server.url });
});
afterAll(() => server.stop());
beforeEach(() => {
  store = postgresKeyStore({ connectionString: server.url, max: 2 });
  return () => store.close();
});

test('a server killed inside a lock loses the whole transaction, and the store goes on after its restart', async () => {
  const [committed, lost] = [aKey(), aKey()];
  await store.withLock(SCOPE, (locked) => locked.insert(committed));
  const work = store.withLock(SCOPE, async (locked) => {
    await locked.insert(lost);
    await locked.append([anEvent(1, lost)]);
    await server.kill9();
    await locked.insert(aKey());
  });
  await expectCode(work, 'ERR_STORE_UNAVAILABLE');
  await expectCode(store.list(SCOPE), 'ERR_STORE_UNAVAILABLE');
  await server.restart();
  expect(await store.list(SCOPE)).toEqual([committed]);
  expect(await store.events(SCOPE)).toEqual([]);
  expect(await store.withLock(SCOPE, (locked) => locked.insert(lost))).toBe(true);
});

test('statements under way when the server is stopped fail, and may be retried', async () => {
  const calls = Array.from({ length: 20 }, () => store.list(SCOPE).then(() => 'done', codeOf));
  await server.restart();
  for (const outcome of await Promise.all(calls))
    expect(['done', 'ERR_STORE_UNAVAILABLE']).toContain(outcome);
  await expect.poll(() => store.list(SCOPE).then(() => 'done', codeOf), PATIENTLY).toBe('done');
});

test('a watch outlives the server: it is told that messages may be lost, then of new ones', async () => {
  const key = aKey();
  const told: (readonly string[] | 'unknown')[] = [];
  await store.watch!((fingerprints) => told.push(fingerprints));
  await store.withLock(SCOPE, (locked) => locked.insert(key));
  await server.kill9();
  await server.restart();
  await expect.poll(() => told, PATIENTLY).toEqual(['unknown']);
  await expect.poll(() => store.list(SCOPE).then(() => 'done', codeOf), PATIENTLY).toBe('done');
  await store.withLock(SCOPE, (locked) =>
    locked.update({ ...key, state: 'COMPROMISED', revision: 2 }, key.state),
  );
  await expect.poll(() => told, PATIENTLY).toEqual(['unknown', [key.fingerprint]]);
});

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}
