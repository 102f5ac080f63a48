/** What the emergency stop is worth where the way to the key store delivers no notifications. */
import { findPgbouncer, startPgbouncer } from '@fieldseal/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { postgresKeyStore, type PostgresKeyStoreOptions } from '../../src/store/postgres.js';
import { startDeafProxy, type DeafProxy } from '../store/deaf-proxy.js';
import { alarmsOf, type OpenedSource, SCOPE, startEmulator, startSource } from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';

/** The alarm of the channel itself; a key that was stopped by hand has another one. */
const channelAlarms = (opened: OpenedSource): string[] =>
  alarmsOf(opened).filter((code) => code === 'ERR_STORE_UNAVAILABLE');

/** A notification has 5 seconds to come back. */
const PATIENTLY = { timeout: 12_000 };

let emulator: KmsEmulator;
let keyStore: TestKeyStore;

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator.close());
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
});
afterEach(() => keyStore.drop());

/** Few keys, so that a start is short; all of them held. */
async function start(options: PostgresKeyStoreOptions): Promise<OpenedSource> {
  const purposes = { [SCOPE.purpose]: { pool: { validKeys: 3, futureKeys: 1 } } };
  const timeouts = { connectMs: 5_000, requestMs: 5_000 };
  const opened = await startSource({ emulator, store: postgresKeyStore(options), purposes, timeouts });
  onTestFinished(() => opened.source.close());
  const keys = await opened.source.handOut(SCOPE.purpose, []);
  opened.held.push(...keys.map(({ fingerprint }) => fingerprint));
  return opened;
}

/** Stops a key that is held, as an operator does in an emergency. */
async function stopAKey({ held }: OpenedSource): Promise<string> {
  const fingerprint = held.shift()!;
  held.push(fingerprint);
  const stop = `UPDATE fieldseal.data_keys SET state = 'SUSPENDED' WHERE fingerprint = $1`;
  await keyStore.database.query(stop, [fingerprint]);
  return fingerprint;
}

const alarmTexts = ({ events }: OpenedSource): string[] =>
  events.flatMap((event) => (event.type === 'alarm' ? [event.message] : []));

describe('behind a pooler in transaction mode', () => {
  let through: string;

  beforeEach(async ({ skip }) => {
    if (findPgbouncer() === undefined) {
      console.log('skipped: pgbouncer is not installed on this machine');
      skip();
    }
    const pooler = await startPgbouncer({ url: keyStore.database.url });
    onTestFinished(() => pooler.stop());
    through = pooler.url;
  });

  it('an alarm says that no revocation comes through, and a stopped key leaves the process all the same', async () => {
    const opened = await start({ connectionString: through, watch: { pollEvery: 300 } });
    const stopped = await stopAKey(opened);
    await expect.poll(() => channelAlarms(opened), PATIENTLY).toEqual(['ERR_STORE_UNAVAILABLE']);
    expect(alarmTexts(opened)[0]).toMatch(/pooler.*watch: \{ connectionString \}/u);
    await expect.poll(() => opened.revoked, PATIENTLY).toContain(stopped);
    const later = await stopAKey(opened);
    await expect.poll(() => opened.revoked, { timeout: 2_000 }).toContain(later);
    // Told once, not at each look.
    expect(channelAlarms(opened)).toHaveLength(1);
  });

  it('a direct connection for the channel alone tells of a stopped key at once', async () => {
    const opened = await start({
      connectionString: through,
      watch: { connectionString: keyStore.database.url },
    });
    const stopped = await stopAKey(opened);
    await expect.poll(() => opened.revoked, { timeout: 2_000 }).toContain(stopped);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(channelAlarms(opened)).toEqual([]);
  });
});

describe('behind a proxy that swallows notifications', () => {
  let proxy: DeafProxy;

  beforeEach(async () => {
    proxy = await startDeafProxy(keyStore.database.url);
    onTestFinished(() => proxy.close());
  });

  it('an alarm comes and states are looked up, until a notification comes back again', async () => {
    const opened = await start({ connectionString: proxy.url, watch: { pollEvery: 300 } });
    const stopped = await stopAKey(opened);
    await expect.poll(() => channelAlarms(opened), PATIENTLY).toEqual(['ERR_STORE_UNAVAILABLE']);
    await expect.poll(() => opened.revoked, PATIENTLY).toContain(stopped);
    proxy.deaf = false;
    const again = { type: 'warning', message: expect.stringContaining('delivers again') as string };
    await expect.poll(() => opened.events, PATIENTLY).toContainEqual(expect.objectContaining(again));
    const later = await stopAKey(opened);
    await expect.poll(() => opened.revoked, { timeout: 2_000 }).toContain(later);
    expect(channelAlarms(opened)).toHaveLength(1);
  });

  it('a channel that becomes deaf later is noticed at a heartbeat', async () => {
    proxy.deaf = false;
    const opened = await start({ connectionString: proxy.url, watch: { pollEvery: 300 } });
    const first = await stopAKey(opened);
    await expect.poll(() => opened.revoked, { timeout: 2_000 }).toContain(first);
    proxy.deaf = true;
    const second = await stopAKey(opened);
    await expect.poll(() => opened.revoked, { timeout: 25_000 }).toContain(second);
    expect(channelAlarms(opened)).toEqual(['ERR_STORE_UNAVAILABLE']);
  }, 40_000);
});

it('a channel of another database than that of the keys is an alarm', async () => {
  const other = await TestKeyStore.create();
  onTestFinished(() => other.drop());
  const opened = await start({
    connectionString: keyStore.database.url,
    watch: { connectionString: other.database.url, pollEvery: 300 },
  });
  const stopped = await stopAKey(opened);
  await expect.poll(() => opened.revoked, PATIENTLY).toContain(stopped);
  expect(channelAlarms(opened)).toEqual(['ERR_STORE_UNAVAILABLE']);
});

it('a listening connection that is lost and cannot be had again is an alarm, and states are looked up', async () => {
  const proxy = await startDeafProxy(keyStore.database.url);
  proxy.deaf = false;
  const opened = await start({
    connectionString: keyStore.database.url,
    watch: { connectionString: proxy.url, pollEvery: 300 },
  });
  await proxy.close();
  const stopped = await stopAKey(opened);
  await expect.poll(() => opened.revoked, PATIENTLY).toContain(stopped);
  expect(channelAlarms(opened)).toEqual(['ERR_STORE_UNAVAILABLE']);
});
