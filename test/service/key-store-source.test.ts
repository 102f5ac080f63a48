import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DataKey } from '../../src/cell/data-key.js';
import { IndexKey } from '../../src/cell/index-key.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { HandedOutKey, KekProvider, KeyStore } from '../../src/keys/ports.js';
import { keyStoreSource } from '../../src/service/key-store-source.js';
import { memoryKeyStore } from '../../src/store/memory.js';
import {
  alarmsOf,
  alarmsOfKeys,
  census,
  DAY_MS,
  HandClock,
  hasCode,
  HOUR_MS,
  kmsOf,
  makeSource,
  moveKey,
  overriding,
  type OpenedSource,
  SCOPE,
  type SourceSetup,
  START,
  startEmulator,
  startSource,
} from './fixture.js';

let emulator: KmsEmulator;
let store: KeyStore;
const opened: OpenedSource[] = [];

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
});
beforeEach(() => {
  store = memoryKeyStore();
});
afterEach(async () => {
  emulator.faults.clear();
  for (const { source } of opened.splice(0)) await source.close();
});

/** The store outlives its sources here: one process after the other on the same rows. */
function lasting(inner: KeyStore): KeyStore {
  return overriding(inner, { close: () => Promise.resolve() });
}

async function start(setup: Partial<SourceSetup> = {}): Promise<OpenedSource> {
  const source = await startSource({ emulator, store: lasting(store), ...setup });
  opened.push(source);
  return source;
}

describe('the first start with an empty key store', () => {
  it('makes one store key, the index key, 15 keys that seal and 3 ahead', async () => {
    await start();
    expect(await census(store)).toEqual({
      'store ENCRYPT': 1,
      'index ENCRYPT': 1,
      'data ENCRYPT': 15,
      'data FUTURE': 3,
    });
  });

  it('lets key i of n retire at now + sealFor (i+1)/n', async () => {
    await start();
    const sealing = await store.list(SCOPE, { kinds: ['data'], states: ['ENCRYPT'] });
    const days = sealing.map(({ retires }) => (retires!.getTime() - START) / DAY_MS).sort((a, b) => a - b);
    expect(days).toEqual(Array.from({ length: 15 }, (_, i) => (i + 1) * 2));
  });

  it('spreads the keys evenly over the KEKs of the purpose', async () => {
    const { events } = await start();
    const keks = new Map<string, number>();
    for (const { wraps } of await store.list(SCOPE, { kinds: ['data'] })) {
      for (const { kek } of wraps) keks.set(kek, (keks.get(kek) ?? 0) + 1);
    }
    expect([...keks.values()]).toEqual([9, 9]);
    expect(events.filter((event) => event.type === 'warning')).toEqual([]);
  });

  it('warns once of a single KEK, and refuses it where the policy asks for a spread', async () => {
    const { events } = await start({ purposes: { 'personal-data': {} } });
    expect(events.filter((event) => event.type === 'warning')).toHaveLength(1);
    const strict = { 'personal-data': { requireKekSpread: true } };
    await expect(start({ store: memoryKeyStore(), purposes: strict })).rejects.toEqual(
      hasCode('ERR_CONFIG_KEK_SPREAD'),
    );
  });

  it('records every move with actor, time and reason in one chain', async () => {
    await start({ actor: 'ops@host-7' });
    const events = await store.events(SCOPE);
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 35 }, (_, i) => i + 1));
    expect(events[0]).toMatchObject({
      who: 'ops@host-7',
      at: new Date(START),
      from: null,
      to: 'ENCRYPT',
      why: 'first start',
    });
    expect(events.filter((event) => event.from === 'FUTURE' && event.to === 'ENCRYPT')).toHaveLength(15);
  });

  it('proves every key once before it seals', async () => {
    const { source } = await start();
    expect(source.kmsCalls()).toMatchObject({ GenerateDataKey: 20, Decrypt: 15 });
  });

  it('makes one set when several sources start at once', async () => {
    const shared = lasting(store);
    const sources = await Promise.all([1, 2, 3].map(() => start({ store: shared })));
    expect(await census(store)).toMatchObject({ 'store ENCRYPT': 1, 'data ENCRYPT': 15, 'data FUTURE': 3 });
    for (const { source } of sources) expect(await handOut(source)).toHaveLength(3);
  });

  it.each([
    ['GenerateDataKey', 'denied', 'ERR_KMS_DENIED'],
    ['GenerateDataKey', 'throttle', 'ERR_KMS_THROTTLED'],
    ['GenerateDataKey', 'hang', 'ERR_KMS_TIMEOUT'],
    ['GenerateDataKey', 'garbage', 'ERR_KMS_RESPONSE'],
    ['GenerateDataKey', 'close', 'ERR_KMS_UNAVAILABLE'],
    ['Decrypt', 'denied', 'ERR_KMS_DENIED'],
    ['Decrypt', 'close', 'ERR_KMS_UNAVAILABLE'],
  ] as const)('writes nothing when %s meets "%s"', async (operation, fault, code) => {
    emulator.faults.inject(operation, fault);
    await expect(start()).rejects.toEqual(hasCode(code));
    expect(await census(store)).toEqual({});
    expect(await store.lastEvent(SCOPE)).toBeUndefined();
  });

  it('writes nothing when the KMS fails in the middle, and starts afresh afterwards', async () => {
    const good = await kmsCallsOfOneStart();
    emulator.faults.inject('*', 'slow', { times: good - 3, delayMs: 0 });
    emulator.faults.inject('*', 'denied');
    await expect(start()).rejects.toEqual(hasCode('ERR_KMS_DENIED'));
    expect(await census(store)).toEqual({});
    emulator.faults.clear();
    await start();
    expect(await census(store)).toMatchObject({ 'data ENCRYPT': 15 });
  });
});

describe('a later start', () => {
  it('adopts what is there: one Decrypt for the store key, nothing made', async () => {
    await start();
    const before = await store.list(SCOPE);
    const { source, events } = await start();
    expect(source.kmsCalls()).toMatchObject({ Decrypt: 1 });
    expect(source.kmsCalls().GenerateDataKey ?? 0).toBe(0);
    expect(await store.list(SCOPE)).toEqual(before);
    expect(events).toEqual([]);
  });

  it('makes the index key of a version that the policy names anew, and only that one', async () => {
    const first = await start();
    const [one] = (await first.source.indexKeys(SCOPE.purpose))!;
    const { source } = await start({ purposes: { 'card-number': { index: { versions: [2, 1] } } } });
    const keys = (await source.indexKeys(SCOPE.purpose))!;
    expect(keys.map((key) => key.version)).toEqual([2, 1]);
    expect(keys[1]!.fingerprint).toBe(one!.fingerprint);
    const names = keys.map((key) => IndexKey.derive(key.root, SCOPE, key.version).fingerprint);
    expect(names).toEqual(keys.map((key) => key.fingerprint));
  });

  it('refuses a store key that is not the pinned one, and a pinned one that is gone', async () => {
    await start();
    const [row] = await store.list(SCOPE, { kinds: ['store'] });
    await start({ purposes: { 'card-number': { storeKey: row!.fingerprint } } });
    const wrong = { 'card-number': { storeKey: '00000000-0000-8000-8000-000000000000' } };
    await expect(start({ purposes: wrong })).rejects.toEqual(hasCode('ERR_STORE_KEY'));
    await expect(start({ store: memoryKeyStore(), purposes: wrong })).rejects.toEqual(
      hasCode('ERR_STORE_KEY'),
    );
  });

  it('serves one field seal only', async () => {
    const { source, context } = makeSource({ emulator, store: memoryKeyStore() });
    await source.start(context);
    await expect(source.start(context)).rejects.toEqual(hasCode('ERR_CONFIG_OPTION'));
    await source.close();
  });
});

describe('the clock of the keys', () => {
  it('replaces a key past sealFor before the next hand-out', async () => {
    const clock = new HandClock();
    const { source, events } = await start({ clock });
    events.length = 0;
    clock.now += 2 * DAY_MS;
    await handOut(source);
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 1, 'data ENCRYPT': 15, 'data FUTURE': 3 });
    expect(events.filter((event) => event.type === 'key-moved').map((event) => event.to)).toEqual([
      'DECRYPT',
      'ENCRYPT',
      'FUTURE',
    ]);
  });

  it('keeps ages spread after all keys ended together', async () => {
    const clock = new HandClock();
    const { source } = await start({ clock });
    clock.now += 60 * DAY_MS;
    await handOut(source);
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 15, 'data ENCRYPT': 15, 'data FUTURE': 3 });
    const sealing = await store.list(SCOPE, { kinds: ['data'], states: ['ENCRYPT'] });
    expect(new Set(sealing.map(({ retires }) => retires!.getTime())).size).toBe(15);
  });

  it('changes nothing, row by row, when it ticks again at the same time', async () => {
    const { source } = await start();
    const before = await store.list(SCOPE);
    await handOut(source);
    await handOut(source);
    expect(await store.list(SCOPE)).toEqual(before);
  });

  it('goes on sealing with the keys it has while the KMS makes and proves none, with an alarm', async () => {
    const clock = new HandClock();
    const running = await start({ clock });
    clock.now += 2 * DAY_MS;
    emulator.faults.inject('GenerateDataKey', 'denied');
    expect(await handOut(running.source)).toHaveLength(3);
    expect(alarmsOf(running)).toContain('ERR_KMS_DENIED');
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 1, 'data ENCRYPT': 15, 'data FUTURE': 2 });
  });

  it('makes keys under the other KEK when one is unusable', async () => {
    const clock = new HandClock();
    const running = await start({ clock });
    clock.now += 10 * DAY_MS;
    const [kek] = await keksInUse();
    emulator.faults.inject('GenerateDataKey', 'denied', { keyArn: kek! });
    await handOut(running.source);
    expect(await census(store)).toMatchObject({ 'data DECRYPT': 5, 'data ENCRYPT': 15, 'data FUTURE': 3 });
  });

  it('does not promote a FUTURE key that cannot be proven, and takes another one', async () => {
    const clock = new HandClock();
    const running = await start({ clock });
    const futures = await store.list(SCOPE, { kinds: ['data'], states: ['FUTURE'] });
    clock.now += 2 * DAY_MS;
    emulator.faults.inject('Decrypt', 'denied', { times: 1 });
    await handOut(running.source);
    expect(alarmsOfKeys(running)).toEqual(['ERR_KMS_DENIED']);
    const rows = await store.find(
      SCOPE,
      futures.map((row) => row.fingerprint),
    );
    expect(rows.map((row) => row.state).sort()).toEqual(['ENCRYPT', 'FUTURE', 'FUTURE']);
    expect(await census(store)).toMatchObject({ 'data ENCRYPT': 15 });
  });

  it('raises an alarm when one of several KEKs could open every key', async () => {
    const kekA = { 'card-number': ['alias/card-a'] };
    await start({ keks: kekA });
    const running = await start();
    expect(alarmsOf(running)).toEqual(['ERR_CONFIG_KEK_SPREAD']);
  });
});

describe('a hand-out', () => {
  it('gives handOut different keys whose roots are the keys that they name', async () => {
    const { source } = await start();
    const keys = await handOut(source);
    expect(new Set(keys.map((key) => key.fingerprint)).size).toBe(3);
    for (const { root, fingerprint, commitment } of keys) {
      const key = DataKey.derive(root, SCOPE);
      expect([key.fingerprint, key.commitment]).toEqual([fingerprint, commitment]);
    }
  });

  it('draws among all valid keys', async () => {
    const { source } = await start();
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) for (const key of await handOut(source)) seen.add(key.fingerprint);
    // 15 keys, 120 draws: one is missed with a probability of 15 * (12/15)^40, about 0.2 %; two with next to none.
    expect(seen.size).toBeGreaterThanOrEqual(14);
  });

  it('may seal until the key retires and one lifetime more, or the process had its outage', async () => {
    const clock = new HandClock();
    const purposes = {
      'card-number': { pool: { validKeys: 1 }, key: { sealFor: '30d' }, outage: { seal: '4h' } },
    } as const;
    const { source } = await start({ clock, purposes });
    const [early] = await handOut(source);
    expect(early).toMatchObject({ retires: START + 30 * DAY_MS, sealUntil: START + 5 * HOUR_MS });
    clock.now = START + 30 * DAY_MS - HOUR_MS;
    const [late] = await handOut(source);
    expect(late!.sealUntil).toBe(START + 30 * DAY_MS + HOUR_MS);
  });

  it('adds the usage to the counters of the keys, also of keys that seal no more', async () => {
    const { source } = await start();
    const [key] = await handOut(source);
    await source.handOut(SCOPE.purpose, [{ fingerprint: key!.fingerprint, cells: 10, bytes: 160 }]);
    await source.handOut(SCOPE.purpose, [{ fingerprint: key!.fingerprint, cells: 5, bytes: 80 }]);
    const [row] = await store.find(SCOPE, [key!.fingerprint]);
    expect(row).toMatchObject({ cells: 15, bytes: 240, revision: 4 });
  });

  it('counts usage once when the hand-out fails after it was written and is reported again', async () => {
    const { source } = await start();
    const [key] = await handOut(source);
    const usage = { fingerprint: key!.fingerprint, cells: 10, bytes: 160 };
    emulator.faults.inject('Decrypt', 'denied');
    await expect(source.handOut(SCOPE.purpose, [usage])).rejects.toEqual(hasCode('ERR_KMS_DENIED'));
    await expect(source.handOut(SCOPE.purpose, [usage])).rejects.toEqual(hasCode('ERR_KMS_DENIED'));
    emulator.faults.clear();
    await source.handOut(SCOPE.purpose, [{ ...usage, cells: 12, bytes: 192 }]);
    await source.handOut(SCOPE.purpose, [{ ...usage, cells: 1, bytes: 16 }]);
    const [row] = await store.find(SCOPE, [key!.fingerprint]);
    expect(row).toMatchObject({ cells: 13, bytes: 208 });
  });

  it('retires a key that has sealed its cells, and hands out others', async () => {
    const { source } = await start({ purposes: { 'card-number': { key: { maxCells: 100 } } } });
    const [key] = await handOut(source);
    const next = await source.handOut(SCOPE.purpose, [
      { fingerprint: key!.fingerprint, cells: 100, bytes: 1 },
    ]);
    expect(next.map((other) => other.fingerprint)).not.toContain(key!.fingerprint);
    const [row] = await store.find(SCOPE, [key!.fingerprint]);
    expect(row).toMatchObject({ state: 'DECRYPT', retires: new Date(START) });
  });

  it('takes another key in the place of one that cannot be unwrapped, with an alarm', async () => {
    const running = await start();
    emulator.faults.inject('Decrypt', 'denied', { times: 2 });
    expect(await handOut(running.source)).toHaveLength(3);
    expect(alarmsOfKeys(running)).toEqual(['ERR_KMS_DENIED', 'ERR_KMS_DENIED']);
  });

  it.each([
    ['denied', 'ERR_KMS_DENIED'],
    ['throttle', 'ERR_KMS_THROTTLED'],
    ['hang', 'ERR_KMS_TIMEOUT'],
    ['garbage', 'ERR_KMS_RESPONSE'],
    ['short-plaintext', 'ERR_KMS_RESPONSE'],
    ['close', 'ERR_KMS_UNAVAILABLE'],
  ] as const)('fails with the code of the KMS when it meets "%s"', async (fault, code) => {
    const { source } = await start();
    emulator.faults.inject('Decrypt', fault);
    await expect(handOut(source)).rejects.toEqual(hasCode(code));
  });

  it('says what kept it from making keys when none may seal', async () => {
    const clock = new HandClock();
    const { source } = await start({ clock });
    clock.now += 60 * DAY_MS;
    emulator.faults.inject('*', 'close');
    await expect(handOut(source)).rejects.toEqual(hasCode('ERR_KMS_UNAVAILABLE'));
  });

  it('counts one nonce prefix a hand-out for xaes-256-gcm', async () => {
    const purposes = {
      'card-number': { suite: 'xaes-256-gcm', pool: { validKeys: 1, handOut: 1 } },
    } as const;
    const { source } = await start({ purposes });
    const [key] = await handOut(source);
    await handOut(source);
    const [row] = await store.find(SCOPE, [key!.fingerprint]);
    expect(row).toMatchObject({ prefixes: 2, state: 'ENCRYPT' });
  });

  it('refuses a purpose that it was not started with', async () => {
    const { source } = await start();
    await expect(source.handOut('personal-data', [])).rejects.toEqual(hasCode('ERR_CONFIG_PURPOSE_UNKNOWN'));
  });
});

describe('loading keys', () => {
  it('gives each fingerprint its own outcome', async () => {
    const { source } = await start();
    const rows = await store.list(SCOPE);
    const sealing = rows.find((row) => row.kind === 'data' && row.state === 'ENCRYPT')!;
    const future = rows.find((row) => row.state === 'FUTURE')!;
    const storeKey = rows.find((row) => row.kind === 'store')!;
    const unknown = '00000000-0000-8000-8000-000000000000';
    const wanted = [sealing, future, storeKey].map((row) => row.fingerprint).concat(unknown);
    const outcomes = await source.load(SCOPE.purpose, wanted);
    expect(outcomes.map((outcome) => outcome.fingerprint)).toEqual(wanted);
    expect(outcomes.map((outcome) => ('key' in outcome ? 'key' : outcome.error.code))).toEqual([
      'key',
      'ERR_KEY_STATE',
      'ERR_KEY_NOT_FOUND',
      'ERR_KEY_NOT_FOUND',
    ]);
  });

  it('makes one KMS call a key and none for keys it may not open', async () => {
    const { source } = await start();
    const rows = await store.list(SCOPE, { kinds: ['data'] });
    const before = source.kmsCalls().Decrypt ?? 0;
    await source.load(
      SCOPE.purpose,
      rows.map((row) => row.fingerprint),
    );
    expect(source.kmsCalls().Decrypt).toBe(before + 15);
  });

  it.each([
    ['denied', 'ERR_KMS_DENIED'],
    ['garbage', 'ERR_KMS_RESPONSE'],
    ['throttle', 'ERR_KEY_UNAVAILABLE'],
    ['hang', 'ERR_KEY_UNAVAILABLE'],
    ['close', 'ERR_KEY_UNAVAILABLE'],
  ] as const)(
    'reports "%s" of the KMS for the key alone, trouble that may pass as such',
    async (fault, code) => {
      const { source } = await start();
      const [key] = await handOut(source);
      emulator.faults.inject('Decrypt', fault);
      const [outcome] = await source.load(SCOPE.purpose, [key!.fingerprint]);
      expect(outcome).toMatchObject({ error: hasCode(code) });
      if (code === 'ERR_KEY_UNAVAILABLE')
        expect(outcome).toMatchObject({ error: { retryable: true, cause: expect.anything() as unknown } });
    },
  );

  it('raises an alarm when a cell under an EXPIRED key is read, and does not open it', async () => {
    const running = await start();
    const [key] = await handOut(running.source);
    await moveKey(store, emulator, key!.fingerprint, 'COMPROMISED');
    await moveKey(store, emulator, key!.fingerprint, 'EXPIRED');
    const [outcome] = await running.source.load(SCOPE.purpose, [key!.fingerprint]);
    expect(outcome).toMatchObject({ error: hasCode('ERR_KEY_STATE') });
    expect(alarmsOfKeys(running)).toEqual(['ERR_KEY_STATE']);
  });

  it('refuses a KEK outside the configuration before any call', async () => {
    const first = await start({ keks: { 'card-number': ['alias/card-a'] } });
    const [key] = await handOut(first.source);
    const moved = makeSource({ emulator, store: lasting(store), keks: { 'card-number': ['alias/card-b'] } });
    const asked = emulator.audit().length;
    await expect(moved.source.start(moved.context)).rejects.toEqual(hasCode('ERR_KMS_KEK_NOT_CONFIGURED'));
    const calls = emulator.audit().slice(asked);
    expect(calls.filter((call) => call.event !== 'DescribeKey')).toEqual([]);
    expect(key).toBeDefined();
    await moved.source.close();
  });
});

describe('with manage: false', () => {
  it('reads keys and writes nothing', async () => {
    await start();
    const before = await store.list(SCOPE);
    const { source } = await start({ manage: false });
    const keys = await source.handOut(SCOPE.purpose, []);
    await source.handOut(SCOPE.purpose, [{ fingerprint: keys[0]!.fingerprint, cells: 1, bytes: 1 }]);
    expect(await source.load(SCOPE.purpose, [keys[0]!.fingerprint])).toMatchObject([{ key: {} }]);
    expect(await source.indexKeys(SCOPE.purpose)).toHaveLength(1);
    expect(await store.list(SCOPE)).toEqual(before);
    expect(source.kmsCalls().GenerateDataKey ?? 0).toBe(0);
  });

  it('refuses an empty key store', async () => {
    await expect(start({ manage: false })).rejects.toEqual(hasCode('ERR_STORE_EMPTY'));
  });

  it('refuses xaes-256-gcm, whose prefixes it could not count', async () => {
    const purposes = { 'card-number': { suite: 'xaes-256-gcm' } } as const;
    await expect(start({ manage: false, purposes })).rejects.toEqual(hasCode('ERR_CONFIG_OPTION'));
  });

  it('says that no key may seal when nobody replaces them', async () => {
    await start();
    const clock = new HandClock();
    clock.now += 60 * DAY_MS;
    const { source } = await start({ manage: false, clock });
    await expect(handOut(source)).rejects.toEqual(hasCode('ERR_POOL_EMPTY'));
  });

  it('opens with a key that another process made after its start', async () => {
    const clock = new HandClock();
    const managing = await start({ clock });
    const reading = await start({ manage: false });
    clock.now += 60 * DAY_MS;
    const [key] = await handOut(managing.source);
    expect(await reading.source.load(SCOPE.purpose, [key!.fingerprint])).toMatchObject([{ key: {} }]);
    expect(alarmsOf(reading)).toEqual([]);
  });

  it('says which index key version nobody has made', async () => {
    await start();
    const { source } = await start({
      manage: false,
      purposes: { 'card-number': { index: { versions: [1, 2] } } },
    });
    await expect(source.indexKeys(SCOPE.purpose)).rejects.toEqual(hasCode('ERR_KEY_NOT_FOUND'));
  });
});

describe('a purpose of envelope delivery', () => {
  const ENVELOPES = { 'personal-data': { delivery: 'envelope' } } as const;
  const PEOPLE = { ...SCOPE, purpose: 'personal-data' };

  it('keeps nothing in the key store, whether the source manages it or reads it', async () => {
    const managing = await start({ purposes: { ...ENVELOPES, [SCOPE.purpose]: {} } });
    expect(await census(store)).not.toEqual({});
    expect(await census(store, PEOPLE)).toEqual({});
    const reading = await start({ purposes: ENVELOPES, manage: false });
    const { root, kekRef, wrapped } = await managing.source.makeEnvelopeKey(PEOPLE.purpose);
    expect(await reading.source.openEnvelopeKey(PEOPLE.purpose, kekRef, wrapped)).toEqual(root);
    expect(await reading.source.indexKeys(PEOPLE.purpose)).toBeUndefined();
    expect(await reading.source.load(PEOPLE.purpose, ['x'])).toMatchObject([
      { error: { code: 'ERR_KEY_NOT_FOUND' } },
    ]);
  });

  it('is warned of one KEK alone as others are, and refused it where the policy asks for a spread', async () => {
    const one = { ...ENVELOPES['personal-data'] } as const;
    for (const purposes of [ENVELOPES, { 'personal-data': { ...one, index: 'later' } }] as const) {
      const { events } = await start({ purposes });
      expect(events.filter(({ type }) => type === 'warning')).toMatchObject([
        { code: 'ERR_CONFIG_KEK_SPREAD' },
      ]);
    }
    const strict = { 'personal-data': { ...one, requireKekSpread: true } };
    await expect(start({ purposes: strict })).rejects.toEqual(hasCode('ERR_CONFIG_KEK_SPREAD'));
  });

  it('keeps nothing there either where the KMS makes its indexes', async () => {
    await start({ purposes: { 'personal-data': { delivery: 'envelope', index: 'kms' } } });
    expect(await census(store, PEOPLE)).toEqual({});
  });

  it('keeps its index keys there where the policy has an index', async () => {
    const { source } = await start({
      purposes: { 'personal-data': { delivery: 'envelope', index: 'later' } },
    });
    expect(await census(store, PEOPLE)).toEqual({ 'store ENCRYPT': 1, 'index ENCRYPT': 1 });
    const keys = await source.indexKeys(PEOPLE.purpose);
    expect(keys).toHaveLength(1);
    keys![0]!.root.fill(0);
  });

  it('finds its keys of before there while it accepts their cells', async () => {
    const pooled = await start({ purposes: { 'personal-data': {} } });
    const [key] = await pooled.source.handOut(PEOPLE.purpose, []);
    key!.root.fill(0);
    const both = { delivery: 'envelope', accept: { deliveries: ['envelope', 'pool'] } } as const;
    const { source } = await start({ purposes: { 'personal-data': both }, manage: false });
    const [loaded] = await source.load(PEOPLE.purpose, [key!.fingerprint]);
    expect(loaded).toMatchObject({ key: { fingerprint: key!.fingerprint } });
  });
});

it('a purpose whose indexes the KMS makes has no index key', async () => {
  await start({ purposes: { [SCOPE.purpose]: { index: 'kms' } } });
  expect(Object.keys(await census(store)).filter((name) => name.startsWith('index'))).toEqual([]);
});

describe('roots', () => {
  it('of keys that are made or proven are wiped', async () => {
    const { source, context, roots } = watched(store);
    await source.start(context);
    expect(roots).toHaveLength(20 + 15);
    expect(roots.every((root) => root.equals(Buffer.alloc(32)))).toBe(true);
    await source.close();
  });

  it('of index keys are wiped when one of several cannot be unwrapped', async () => {
    const purposes = { 'card-number': { index: { versions: [1, 2, 3] } } };
    const { source, context, roots } = watched(store, purposes);
    await source.start(context);
    roots.length = 0;
    emulator.faults.inject('Decrypt', 'denied', { times: 1 });
    await expect(source.indexKeys(SCOPE.purpose)).rejects.toEqual(hasCode('ERR_KMS_DENIED'));
    expect(roots).toHaveLength(2);
    expect(roots.every((root) => root.equals(Buffer.alloc(32)))).toBe(true);
    await source.close();
  });
});

describe('closing', () => {
  it('is idempotent, and nothing works afterwards', async () => {
    const { source } = await start();
    await source.close();
    await source.close();
    await expect(handOut(source)).rejects.toEqual(hasCode('ERR_CLOSED'));
    await expect(source.load(SCOPE.purpose, [])).rejects.toEqual(hasCode('ERR_CLOSED'));
    await expect(source.indexKeys(SCOPE.purpose)).rejects.toEqual(hasCode('ERR_CLOSED'));
  });

  it('during a start ends the start', async () => {
    const { source, context } = makeSource({ emulator, store });
    const starting = source.start(context);
    await source.close();
    await expect(starting).rejects.toMatchObject({
      code: expect.stringMatching(/CLOSED|KMS|STORE/) as unknown,
    });
  });
});

/** A source whose KMS answers can be looked at after their use. */
function watched(
  inner: KeyStore,
  purposes: NonNullable<SourceSetup['purposes']> = { 'card-number': {} },
): ReturnType<typeof makeSource> & { readonly roots: Buffer[] } {
  const roots: Buffer[] = [];
  const keep = (root: Buffer): Buffer => {
    roots.push(root);
    return root;
  };
  const kms = kmsOf(emulator);
  const generate = kms.generate.bind(kms);
  const unwrap = kms.unwrap.bind(kms);
  const watching: KekProvider = Object.assign(kms, {
    generate: async (...args: Parameters<KekProvider['generate']>) => {
      const made = await generate(...args);
      keep(made.root);
      return made;
    },
    unwrap: async (...args: Parameters<KekProvider['unwrap']>) => keep(await unwrap(...args)),
  });
  const { context } = makeSource({ emulator, store: inner, purposes });
  return {
    ...makeSource({ emulator, store: inner }),
    source: keyStoreSource({ store: inner, kms: watching }),
    context,
    roots,
  };
}

function handOut(source: OpenedSource['source']): Promise<readonly HandedOutKey[]> {
  return source.handOut(SCOPE.purpose, []);
}

async function keksInUse(): Promise<string[]> {
  const rows = await store.list(SCOPE, { kinds: ['data'] });
  return [...new Set(rows.flatMap((row) => row.wraps.map((wrap) => wrap.kek)))];
}

async function kmsCallsOfOneStart(): Promise<number> {
  const { source } = await startSource({ emulator, store: memoryKeyStore() });
  await source.close();
  return Object.values(source.kmsCalls()).reduce((sum, calls) => sum + calls, 0);
}
