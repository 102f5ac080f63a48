/** A hot standby: it reads, takes no lock and no LISTEN, and may lie behind. */
import { startPostgres, type PostgresServer } from '@fieldseal/test-support';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createFieldSeal, type FieldSeal } from '../../src/keys/create-field-seal.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import type { Access } from '../../src/keys/ports.js';
import { localKeks } from '../../src/kms/local/local-keks.js';
import { createKeyFile } from '../../src/kms/local/create-key-file.js';
import { keyStoreSource } from '../../src/service/key-store-source.js';
import { migrateKeyStore, postgresKeyStore, type WatchOptions } from '../../src/store/postgres.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { expectCode } from './expect-code.js';

const PURPOSE = 'card-number';
const PATIENTLY = { timeout: 15_000 };

let primary: PostgresServer;
let standby: PostgresServer;
let folder: string;
let kek: string;
let writer: FieldSeal;
let sql: Pick<FreshDatabase, 'query'>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-standby-'));
  kek = join(folder, 'a.kek');
  await createKeyFile(kek);
  primary = await startPostgres();
  standby = await primary.standby();
  const database = await freshDatabase(primary.url);
  sql = database;
  const [primaryUrl, standbyUrl] = [primary.url, standby.url].map((server) => {
    const url = new URL(server);
    url.pathname = new URL(database.url).pathname;
    return url.href;
  });
  urls = { primary: primaryUrl!, standby: standbyUrl! };
  await migrateKeyStore({ connectionString: urls.primary });
  writer = await open(urls.primary, {});
  await vi.waitFor(async () => {
    expect(await caughtUp()).toBe(true);
  }, PATIENTLY);
}, 60_000);
afterAll(async () => {
  await writer.close();
  await standby.stop();
  await primary.stop();
  rmSync(folder, { recursive: true });
});

let urls: { readonly primary: string; readonly standby: string };

function open(
  connectionString: string,
  options: {
    readonly manage?: boolean;
    readonly access?: Access;
    readonly events?: FieldSealEvent[];
    readonly watch?: WatchOptions;
  },
): Promise<FieldSeal> {
  const { manage, access, events = [], watch } = options;
  return createFieldSeal({
    application: 'shop',
    environment: 'standby',
    purposes: { [PURPOSE]: { pool: { validKeys: 3, handOut: 2, futureKeys: 1 } } },
    ...(access && { access }),
    keys: keyStoreSource({
      store: postgresKeyStore({ connectionString, watch: { pollEvery: 300, ...watch } }),
      kms: localKeks({ keks: { [PURPOSE]: [kek] } }),
      ...(manage !== undefined && { manage }),
    }),
    onEvent: (event) => void events.push(event),
  });
}

async function caughtUp(): Promise<boolean> {
  const store = postgresKeyStore({ connectionString: urls.standby });
  try {
    return (await store.list({ application: 'shop', environment: 'standby', purpose: PURPOSE })).length > 5;
  } catch {
    return false;
  } finally {
    await store.close();
  }
}

const expectedHere = { type: 'warning', message: expect.stringContaining('hot standby') as string };

test('a process that makes no keys starts there, seals and opens', async () => {
  const events: FieldSealEvent[] = [];
  const seal = await open(urls.standby, { manage: false, events });
  onTestFinished(() => seal.close());
  const cell = seal.seal(PURPOSE, 'cards.pan', 'a value');
  expect(await writer.open(PURPOSE, 'cards.pan', cell)).toBe('a value');
  expect(await seal.open(PURPOSE, 'cards.pan', writer.seal(PURPOSE, 'cards.pan', 'another'))).toBe('another');
  expect(events.filter(({ type }) => type === 'alarm')).toEqual([]);
  expect(events).toContainEqual(expect.objectContaining(expectedHere));
});

test('a process that only reads starts there, also where it would make keys at the primary, and is told so', async () => {
  const events: FieldSealEvent[] = [];
  const seal = await open(urls.standby, { access: 'read-only', events });
  onTestFinished(() => seal.close());
  expect(await seal.open(PURPOSE, 'cards.pan', writer.seal(PURPOSE, 'cards.pan', 'a value'))).toBe('a value');
  const message = expect.stringContaining('manage: false') as string;
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', message }));
});

test('a process that makes keys says that it needs the primary', async () => {
  const { message } = await expectCode(open(urls.standby, {}), 'ERR_STORE_UNAVAILABLE');
  expect(message).toMatch(/hot standby.*primary.*manage: false/u);
});

test('a process there that listens at the primary is told that it is a standby, without an alarm', async () => {
  const events: FieldSealEvent[] = [];
  const watch = { connectionString: urls.primary };
  const seal = await open(urls.standby, { manage: false, events, watch });
  onTestFinished(() => seal.close());
  await expect.poll(() => events, PATIENTLY).toContainEqual(expect.objectContaining(expectedHere));
  expect(events.filter(({ type }) => type === 'alarm')).toEqual([]);
});

test('a key that is stopped before the standby has it leaves a process there that listens at the primary', async () => {
  const events: FieldSealEvent[] = [];
  const watch = { connectionString: urls.primary };
  const seal = await open(urls.standby, { manage: false, events, watch });
  onTestFinished(() => seal.close());
  const at = new Client({ connectionString: urls.standby });
  await at.connect();
  onTestFinished(() => at.end());
  await at.query('SELECT pg_wal_replay_pause()');
  const key = seal.seal(PURPOSE, 'cards.pan', 'a value').subarray(2, 18).toString('hex');
  const [row] = await sql.query(
    `UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE fingerprint = '${key}' RETURNING fingerprint`,
  );
  await setTimeout(1_000); // the notification has come, and the state that it tells of has not
  await at.query('SELECT pg_wal_replay_resume()');
  await expect
    .poll(() => events, PATIENTLY)
    .toContainEqual(expect.objectContaining({ type: 'key-revoked', fingerprint: row!.fingerprint }));
});

test('a key that is stopped leaves a process there when its state is looked up', async () => {
  const events: FieldSealEvent[] = [];
  const seal = await open(urls.standby, { manage: false, events });
  onTestFinished(() => seal.close());
  await sql.query(
    `UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE kind = 'data' AND state = 'ENCRYPT'`,
  );
  await expect
    .poll(() => events.filter(({ type }) => type === 'key-revoked').length, PATIENTLY)
    .toBeGreaterThan(0);
});
