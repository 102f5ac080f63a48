/** Hand-outs while the KMS of one of two KEKs does not answer: keys under the other one are there, and are drawn. */
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { StoreError } from '../../src/errors.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import type { KeyStore } from '../../src/keys/ports.js';
import { memoryKeyStore } from '../../src/store/memory.js';
import {
  alarmsOf,
  alarmsOfKeys,
  DAY_MS,
  hasCode,
  overriding,
  SCOPE,
  startEmulator,
  startSource,
} from './fixture.js';

/** So long that a busy machine is not taken for a silent KEK. */
const timeouts = { connectMs: 5_000, requestMs: 5_000 };

let emulator: KmsEmulator;

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
});
afterEach(() => {
  emulator.faults.clear();
});

/**
 * A key store with keys under two KEKs, and one of them that wraps data keys alone: without the store key or the index key
 * nothing starts.
 */
async function twoKeks(
  setup: PurposeOptions = {},
): Promise<{ readonly store: KeyStore; readonly kek: string }> {
  for (;;) {
    const store = overriding(memoryKeyStore(), { close: () => Promise.resolve() });
    await (
      await startSource({ emulator, timeouts, store, purposes: { [SCOPE.purpose]: setup } })
    ).source.close();
    const rows = await store.list(SCOPE);
    const needed = rows.flatMap(({ kind, wraps }) => (kind === 'data' ? [] : wraps.map(({ kek }) => kek)));
    const all = rows.flatMap(({ wraps }) => wraps.map(({ kek }) => kek));
    const kek = all.find((one) => !needed.includes(one));
    if (kek !== undefined) return { store, kek };
  }
}

it.each([
  ['from before the start', ['DescribeKey', 'Decrypt', 'GenerateDataKey'], false],
  ['since the start', ['Decrypt'], false],
  ['since the start of a process that makes keys', ['Decrypt'], true],
] as const)(
  'draws keys under the KEK that answers, where the other is silent %s',
  async (_, silent, manage) => {
    const { store, kek } = await twoKeks();
    for (const operation of silent) emulator.faults.inject(operation, 'close', { keyArn: kek });
    for (let i = 0; i < 30; i++) {
      const running = await startSource({ emulator, timeouts, store, manage });
      const keys = await running.source.handOut(SCOPE.purpose, []);
      expect(new Set(keys.map(({ fingerprint }) => fingerprint)).size).toBe(3);
      await running.source.close();
    }
  },
);

it('tells of every key that was left out, and takes no key twice', async () => {
  const { store, kek } = await twoKeks({ pool: { validKeys: 6, handOut: 5 } });
  const purposes = { [SCOPE.purpose]: { pool: { validKeys: 6, handOut: 5 } } };
  const running = await startSource({ emulator, timeouts, store, manage: false, purposes });
  emulator.faults.inject('Decrypt', 'close', { keyArn: kek });
  const keys = await running.source.handOut(SCOPE.purpose, []);
  expect(new Set(keys.map(({ fingerprint }) => fingerprint)).size).toBe(3);
  const alarms = alarmsOfKeys(running);
  expect(alarms.length).toBeGreaterThanOrEqual(2);
  expect(new Set(alarms)).toEqual(new Set(['ERR_KMS_UNAVAILABLE']));
  await running.source.close();
});

it('asks a KEK that does not answer no more in the same hand-out', async () => {
  const { store } = await twoKeks();
  const running = await startSource({ emulator, timeouts, store, manage: false });
  emulator.faults.inject('Decrypt', 'close');
  const before = decrypts(running.source.kmsCalls());
  await expect(running.source.handOut(SCOPE.purpose, [])).rejects.toEqual(hasCode('ERR_KMS_UNAVAILABLE'));
  const handOut = 3;
  expect(decrypts(running.source.kmsCalls()) - before).toBeLessThanOrEqual(2 * handOut * ATTEMPTS);
  await running.source.close();
});

it('asks nothing of a KEK that has not answered at the start, while keys under the other one will do', async () => {
  const { store, kek } = await twoKeks({ pool: { validKeys: 6, futureKeys: 6 } });
  emulator.faults.inject('*', 'close', { keyArn: kek });
  const before = emulator.audit().length;
  const running = await startSource({
    emulator,
    timeouts,
    store,
    // By name the KEK would not be known at all.
    keks: { [SCOPE.purpose]: Object.values(emulator.aliases()) },
    // Six places are free, so that FUTURE keys under both KEKs are due.
    purposes: { [SCOPE.purpose]: { pool: { validKeys: 12, futureKeys: 1 } } },
  });
  for (let i = 0; i < 10; i++) expect(await running.source.handOut(SCOPE.purpose, [])).toHaveLength(3);
  const unanswered = emulator
    .audit()
    .slice(before)
    .filter(({ error }) => error?.startsWith('fault'));
  expect(unanswered.map(({ event }) => event)).toEqual(Array.from({ length: ATTEMPTS }, () => 'DescribeKey'));
  expect(alarmsOf(running)).toEqual(['ERR_KMS_UNAVAILABLE']);
  await running.source.close();
});

it('asks every KEK again where none of them answered', async () => {
  const { store, kek } = await twoKeks();
  const running = await startSource({ emulator, timeouts, store });
  emulator.faults.inject('*', 'close');
  await expect(running.source.handOut(SCOPE.purpose, [])).rejects.toEqual(hasCode('ERR_KMS_UNAVAILABLE'));
  emulator.faults.clear();
  const before = emulator.audit().length;
  for (let i = 0; i < 30; i++) await running.source.handOut(SCOPE.purpose, []);
  expect(
    emulator
      .audit()
      .slice(before)
      .some(({ keyArn }) => keyArn === kek),
  ).toBe(true);
  await running.source.close();
});

it('raises no alarm about the KMS for a call that the close of the source has ended', async () => {
  const { store } = await twoKeks();
  const running = await startSource({ emulator, timeouts, store });
  running.clock.now += 60 * DAY_MS; // every key has ended
  emulator.faults.inject('Decrypt', 'hang');
  const before = emulator.audit().length;
  const handOut = running.source.handOut(SCOPE.purpose, []);
  await Promise.all([
    expect(handOut).rejects.toThrow(),
    vi
      .waitFor(() => {
        expect(
          emulator
            .audit()
            .slice(before)
            .some(({ event }) => event === 'Decrypt'),
        ).toBe(true);
      })
      .then(() => running.source.close()),
  ]);
  expect(alarmsOf(running)).toEqual([]);
});

it('counts a nonce prefix of every key that is drawn later', async () => {
  const settings = { suite: 'xaes-256-gcm', pool: { validKeys: 6, handOut: 6 } } as const;
  const { store, kek } = await twoKeks(settings);
  const running = await startSource({
    emulator,
    store,
    purposes: { [SCOPE.purpose]: { ...settings, pool: { validKeys: 6, handOut: 3 } } },
  });
  emulator.faults.inject('Decrypt', 'close', { keyArn: kek });
  for (let i = 0; i < 10; i++) {
    const before = new Map((await store.list(SCOPE)).map((row) => [row.fingerprint, row.prefixes]));
    const keys = await running.source.handOut(SCOPE.purpose, []);
    expect(keys).toHaveLength(3);
    for (const { fingerprint } of keys) {
      const [row] = await store.find(SCOPE, [fingerprint]);
      expect(row!.prefixes).toBe(before.get(fingerprint)! + 1);
    }
  }
  await running.source.close();
});

/** Of `kmsOf`. */
const ATTEMPTS = 2;

function decrypts(calls: Readonly<Record<string, number>>): number {
  return calls['Decrypt'] ?? 0;
}

it('asks a key store that does not count the keys once, and not once for each key', async () => {
  const inner = memoryKeyStore();
  const withLock = vi.fn(inner.withLock.bind(inner));
  const store = overriding(inner, { withLock: withLock as KeyStore['withLock'] });
  const purposes: Readonly<Record<string, PurposeOptions>> = {
    [SCOPE.purpose]: { suite: 'xaes-256-gcm', pool: { validKeys: 6, handOut: 1 } },
  };
  const running = await startSource({ emulator, timeouts, store, purposes });
  const down = new StoreError('ERR_STORE_UNAVAILABLE', 'The database does not answer.');
  withLock.mockClear();
  withLock.mockImplementationOnce(inner.withLock.bind(inner)).mockRejectedValue(down);
  await expect(running.source.handOut(SCOPE.purpose, [])).rejects.toEqual(hasCode('ERR_STORE_UNAVAILABLE'));
  expect(withLock).toHaveBeenCalledTimes(2);
  await running.source.close();
});
