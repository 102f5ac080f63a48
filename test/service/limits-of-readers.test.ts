/** What a process may seal under a key, where it only reads the key store and can report nothing. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { keyStoreSource, type FieldSealEvent, type KeySource } from '../../src/index.js';
import { createFieldSeal, type FieldSeal } from '../../src/keys/create-field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { hasCode, kmsOf, SCOPE, startEmulator } from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';

const MAX_CELLS = 5;

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let seals: FieldSeal[] = [];

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.close();
});
beforeEach(async () => {
  keyStore = await TestKeyStore.create();
});
afterEach(async () => {
  for (const seal of seals) await seal.close();
  seals = [];
  await keyStore.drop();
});

interface Process {
  readonly seal: FieldSeal;
  readonly keys: KeySource;
  readonly events: readonly FieldSealEvent[];
  /** Cells that it has sealed, by key. */
  readonly sealed: ReadonlyMap<string, number>;
  /** Seals one value as an ORM does it. */
  readonly save: () => Promise<void>;
}

async function start(manage: boolean, pool: NonNullable<PurposeOptions['pool']>): Promise<Process> {
  const events: FieldSealEvent[] = [];
  const keys = keyStoreSource({ store: keyStore.store(), kms: kmsOf(emulator), manage });
  const seal = await createFieldSeal({
    ...{ application: SCOPE.application, environment: SCOPE.environment, keys },
    purposes: { [SCOPE.purpose]: { pool, key: { maxCells: MAX_CELLS } } },
    onEvent: (event) => events.push(event),
  });
  seals.push(seal);
  const column = seal.column({ purpose: SCOPE.purpose, entity: 'cards', field: 'pan', codec: 'string' });
  const sealed = new Map<string, number>();
  const save = async (): Promise<void> => {
    const rows = [{ column, values: ['4111111111111111'] }];
    const prepared = await seal.prepare(rows);
    const fingerprint = seal.sealRows(rows, prepared)[0]!.fingerprints[0]!;
    prepared.close();
    sealed.set(fingerprint, (sealed.get(fingerprint) ?? 0) + 1);
  };
  return { seal, keys, events, sealed, save };
}

it('goes on with other keys that may seal, until it has brought every one to its limit', async () => {
  await start(true, { validKeys: 4, handOut: 1 });
  const reader = await start(false, { validKeys: 4, handOut: 1 });
  for (let i = 0; i < 4 * MAX_CELLS; i++) await reader.save();
  expect([...reader.sealed.values()]).toEqual([MAX_CELLS, MAX_CELLS, MAX_CELLS, MAX_CELLS]);
  await expect(reader.save()).rejects.toEqual(hasCode('ERR_POOL_EMPTY'));
});

it('seals again when the process that makes keys has put others in their place', async () => {
  const pool = { validKeys: 2, handOut: 2 };
  const maker = await start(true, pool);
  const reader = await start(false, pool);
  for (let i = 0; i < 2 * MAX_CELLS; i++) await reader.save();
  await expect(reader.save()).rejects.toEqual(hasCode('ERR_POOL_EMPTY'));
  const spent = [...reader.sealed.keys()];
  await maker.keys.handOut(
    SCOPE.purpose,
    spent.map((fingerprint) => ({ fingerprint, cells: MAX_CELLS, bytes: 1 })),
  );
  await vi.waitFor(() => reader.save(), { timeout: 10_000, interval: 100 });
  const [fresh] = [...reader.sealed.keys()].filter((fingerprint) => !spent.includes(fingerprint));
  expect(fresh).toBeDefined();
  for (const fingerprint of spent) expect(reader.sealed.get(fingerprint)).toBe(MAX_CELLS);
});

it('says that nobody else knows what it sealed, and what to do, without asking for keys all the time', async () => {
  const pool = { validKeys: 2, handOut: 2 };
  await start(true, pool);
  const reader = await start(false, pool);
  for (let i = 0; i < 2 * MAX_CELLS; i++) await reader.save();
  for (let i = 0; i < 100; i++) {
    const error: unknown = await reader.save().catch((caught: unknown) => caught);
    expect(error).toEqual(hasCode('ERR_POOL_EMPTY'));
    expect((error as Error).message).toMatch(/maxCells.*manage: false.*cannot report/s);
  }
  const failed = reader.events.filter(({ type }) => type === 'refresh-failed');
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThan(8);
  expect(reader.seal.stats().kmsCalls['Decrypt']).toBeLessThanOrEqual(5);
});

it('a process that makes keys is given others before a statement fails', async () => {
  const maker = await start(true, { validKeys: 2, handOut: 2 });
  for (let i = 0; i < 5 * MAX_CELLS; i++) await maker.save();
  expect(Math.max(...maker.sealed.values())).toBe(MAX_CELLS);
});
