/** Closing while the database is frozen: it keeps its connections and answers nothing, not even a good-bye. */
import { startPostgres, type PostgresServer } from '@fieldseal/test-support';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createFieldSeal } from '../../src/keys/create-field-seal.js';
import { migrateKeyStore, postgresKeyStore } from '../../src/store/postgres.js';
import { keyStoreSource } from '../../src/service/key-store-source.js';
import { localKeks } from '../../src/kms/local/local-keks.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import { keyFile } from '../kms/local/key-files.js';
import { expectCode } from './expect-code.js';
import { SCOPE } from './records.js';

/** What a close may take, and a busy machine. */
const LIMIT_MS = 5_500;

/** A server of its own, since it is frozen. */
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
  await migrateKeyStore({ connectionString: server.url });
});
afterEach(() => {
  server.thaw();
});
afterAll(() => server.stop());

test('a key store closes in 5 seconds, and says what it cut off', async () => {
  const store = postgresKeyStore({ connectionString: server.url });
  await store.watch!(() => undefined);
  await store.list(SCOPE);
  server.freeze();
  const cutOff: string[] = [];
  const begun = performance.now();
  await store.close((what) => cutOff.push(what));
  expect(performance.now() - begun).toBeLessThan(LIMIT_MS);
  expect(cutOff).toEqual([
    'the connection that listens for revocations',
    expect.stringMatching(/^[1-3] of its connections to the database$/u),
  ]);
});

test('a statement under way is cut off with its connection, and fails', async () => {
  const store = postgresKeyStore({ connectionString: server.url });
  await store.list(SCOPE);
  server.freeze();
  const failing = expectCode(store.list(SCOPE), 'ERR_STORE_UNAVAILABLE');
  const begun = performance.now();
  await store.close();
  expect(performance.now() - begun).toBeLessThan(LIMIT_MS);
  await failing;
});

test('a field seal closes in 5 seconds, and a warning says what was cut off', async () => {
  const events: FieldSealEvent[] = [];
  const seal = await createFieldSeal({
    application: 'shop',
    environment: 'frozen',
    purposes: { 'card-number': {} },
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString: server.url }),
      kms: localKeks({ keks: { 'card-number': [(await keyFile()).path] } }),
    }),
    onEvent: (event) => void events.push(event),
  });
  server.freeze();
  const begun = performance.now();
  await seal.close();
  expect(performance.now() - begun).toBeLessThan(LIMIT_MS);
  expect(events.filter(({ type }) => type === 'warning')).toContainEqual({
    type: 'warning',
    code: 'ERR_STORE_UNAVAILABLE',
    message: expect.stringContaining('cut off: the connection that listens for revocations') as string,
  });
});
