/** Processes whose clocks, or policies, are not those of the others on one key store: real processes, a real database. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import type { KeyRecord, KeyStore } from '../../src/keys/ports.js';
import {
  alarmsOf,
  alarmsOfKeys,
  census,
  DAY_MS,
  HandClock,
  hasCode,
  HOUR_MS,
  type OpenedSource,
  SCOPE,
  type SourceSetup,
  startEmulator,
  startSource,
} from './fixture.js';
import type { PublishingKeySource } from '../../src/service/public-key-listing.js';
import { TestKeyStore } from './key-store-fixture.js';
import { Workers } from './workers.js';

const POOL = { validKeys: 4, handOut: 2, futureKeys: 2 };
const ONE_DAY: PurposeOptions = { pool: POOL, key: { sealFor: '1d' } };

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let store: KeyStore;
let workers: Workers;
const opened: OpenedSource[] = [];

beforeAll(async () => {
  workers = await Workers.build();
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
  workers.remove();
});
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
  store = keyStore.store();
});
afterEach(async () => {
  await workers.killAll();
  for (const { source } of opened.splice(0)) await source.close();
  await store.close();
  await keyStore.drop();
});

const sealing = (): Promise<KeyRecord[]> => store.list(SCOPE, { kinds: ['data'], states: ['ENCRYPT'] });

describe('a process whose clock is wrong', () => {
  it.each([
    ['2,000 days ahead', 2_000 * DAY_MS],
    ['2,000 days behind', -2_000 * DAY_MS],
    ['a minute ahead', 60_000],
    ['a minute behind', -60_000],
  ])('(%s) moves no key, raises an alarm, and leaves the others at work', async (_, clockErrorMs) => {
    const databaseUrl = keyStore.database.url;
    const honest = await workers.spawn({ emulator, databaseUrl, settings: ONE_DAY });
    honest.tell({ do: 'start' });
    await honest.next('started');
    const before = await store.list(SCOPE);

    const wrong = await workers.spawn({ emulator, databaseUrl, settings: ONE_DAY, clockErrorMs });
    wrong.tell({ do: 'start' });
    expect(await wrong.next('started')).toMatchObject({ moves: 0, alarms: ['ERR_STORE_CLOCK'] });
    wrong.tell({ do: 'hand-out' });
    if (clockErrorMs > DAY_MS) {
      // By its clock every key has ended.
      expect(await wrong.next('failed')).toMatchObject({ code: 'ERR_STORE_CLOCK' });
    } else {
      expect((await wrong.next('handed-out')).fingerprints).toHaveLength(2);
    }
    expect(await store.list(SCOPE)).toEqual(before);

    honest.tell({ do: 'hand-out' });
    expect(await honest.next('handed-out')).toMatchObject({ alarms: [] });
  });

  it('makes no first keys', async () => {
    const setup = { emulator, databaseUrl: keyStore.database.url, clockErrorMs: -HOUR_MS };
    const wrong = await workers.spawn(setup);
    wrong.tell({ do: 'start' });
    expect(await wrong.next('failed')).toMatchObject({ code: 'ERR_STORE_CLOCK' });
    expect(await census(store)).toEqual({});
  });

  it('seals under no key that has ended by the clock of the key store, also where it only reads', async () => {
    const databaseClock = new HandClock();
    await start({ databaseClock });
    databaseClock.now += 30 * DAY_MS;
    for (const manage of [true, false]) {
      const behind = await start({ databaseClock, clock: new HandClock(), manage });
      await expect(handOut(behind)).rejects.toEqual(hasCode('ERR_STORE_CLOCK'));
      expect(alarmsOf(behind)).toContain('ERR_STORE_CLOCK');
    }
  });

  it('publishes no list of public keys', async () => {
    const databaseClock = new HandClock();
    const purposes = { [SCOPE.purpose]: { delivery: 'sealed', pool: POOL } } as const;
    const { source, clock } = await start({ databaseClock, clock: new HandClock(), purposes });
    clock.now += 31_000;
    const signing = generateKeyPairSync('ed25519').privateKey;
    const publishing = source as PublishingKeySource;
    await expect(publishing.publicKeyList(SCOPE.purpose, signing)).rejects.toEqual(
      hasCode('ERR_STORE_CLOCK'),
    );
  });

  it('is none up to 30 seconds, and no key retires beyond sealFor by the clock of the key store', async () => {
    const databaseClock = new HandClock();
    const clock = new HandClock();
    clock.now += 30_000;
    const source = await start({ databaseClock, clock });
    databaseClock.now += DAY_MS / 2;
    clock.now += DAY_MS / 2;
    await handOut(source);
    expect(alarmsOf(source)).toEqual([]);
    for (const { activates, retires } of await sealing()) {
      expect(retires!.getTime() - activates!.getTime()).toBeLessThanOrEqual(DAY_MS);
      expect(retires!.getTime() - databaseClock.now).toBeLessThanOrEqual(DAY_MS);
    }
  });
});

describe('keys with dates that no policy can have made', () => {
  it('are an alarm and are retired', async () => {
    const databaseClock = new HandClock();
    const honest = await start({ databaseClock });
    // A version before this one, or a key store without a clock: nobody compares.
    const wrongClock = new HandClock();
    wrongClock.now += 2_000 * DAY_MS;
    const wrong = await start({ databaseClock: wrongClock, clock: wrongClock });
    await handOut(wrong);
    databaseClock.now += HOUR_MS;
    const planted = (await sealing()).map(({ fingerprint }) => fingerprint);
    expect(planted).toHaveLength(4);
    honest.clock.now = databaseClock.now;
    const keys = await handOut(honest);

    expect(keys).toHaveLength(2);
    for (const { fingerprint } of keys) expect(planted).not.toContain(fingerprint);
    expect(alarmsOfKeys(honest)).toEqual(planted.map(() => 'ERR_STORE_CLOCK'));
    for (const { retires } of await sealing()) {
      expect(retires!.getTime()).toBeLessThanOrEqual(databaseClock.now + DAY_MS);
    }
    for (const { state, retires } of await store.find(SCOPE, planted)) {
      expect(state).toBe('DECRYPT');
      expect(retires!.getTime()).toBeLessThanOrEqual(databaseClock.now);
    }
  });

  it('need no alarm where a clock was behind: they have ended long ago', async () => {
    const wrongClock = new HandClock();
    wrongClock.now -= 2_000 * DAY_MS;
    await start({ databaseClock: wrongClock, clock: wrongClock });
    const honest = await start({});
    expect(await handOut(honest)).toHaveLength(2);
    expect(alarmsOf(honest)).toEqual([]);
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 4, 'data ENCRYPT': 4, 'data FUTURE': 2 });
  });

  it('are not handed out by a process that only reads', async () => {
    const wrongClock = new HandClock();
    wrongClock.now += 2_000 * DAY_MS;
    await start({ databaseClock: wrongClock, clock: wrongClock });
    const reading = await start({ databaseClock: new HandClock(), manage: false });
    await expect(handOut(reading)).rejects.toEqual(hasCode('ERR_POOL_EMPTY'));
  });
});

describe('a change of sealFor', () => {
  const LONG: PurposeOptions = { pool: POOL, key: { sealFor: '40d' } };

  it('to a shorter one counts for keys that seal already, without an alarm', async () => {
    const clock = new HandClock();
    const long = await start({ clock, settings: LONG });
    clock.now += 11 * DAY_MS; // one key was replaced
    await handOut(long);
    const [youngest] = (await sealing()).filter(({ activates }) => activates!.getTime() === clock.now);
    const short = await start({ clock, settings: { pool: POOL, key: { sealFor: '10d' } } });
    expect(alarmsOf(short)).toEqual([]);
    expect(short.events).toContainEqual(
      expect.objectContaining({ type: 'warning', code: 'ERR_CONFIG_OPTION' }),
    );
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 4, 'data ENCRYPT': 4, 'data FUTURE': 2 });
    expect((await sealing()).map(({ fingerprint }) => fingerprint)).toContain(youngest!.fingerprint);
    const keys = await short.source.handOut(SCOPE.purpose, []);
    for (const { retires } of keys) expect(retires).toBeLessThanOrEqual(clock.now + 10 * DAY_MS);
    clock.now += 10 * DAY_MS;
    await handOut(short);
    expect(await store.find(SCOPE, [youngest!.fingerprint])).toMatchObject([{ state: 'DECRYPT' }]);
  });

  it('to a longer one burns no keys while processes of both are at work', async () => {
    const clock = new HandClock();
    const short = await start({ clock, settings: { pool: POOL, key: { sealFor: '10d' } } });
    const long = await start({ clock, settings: LONG });
    clock.now += 5 * DAY_MS;
    for (const source of [long, short, long, short]) {
      await handOut(source);
      expect(alarmsOf(source)).toEqual([]);
    }
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 2, 'data ENCRYPT': 4, 'data FUTURE': 2 });
  });
});

async function start({
  settings = ONE_DAY,
  ...setup
}: Partial<SourceSetup> & { readonly settings?: PurposeOptions }): Promise<OpenedSource> {
  const purposes = { [SCOPE.purpose]: settings };
  const source = await startSource({ emulator, store: keyStore.store(), purposes, ...setup });
  opened.push(source);
  return source;
}

async function handOut({ source }: OpenedSource): Promise<readonly { readonly fingerprint: string }[]> {
  const keys = await source.handOut(SCOPE.purpose, []);
  for (const { root } of keys) root.fill(0);
  return keys;
}
