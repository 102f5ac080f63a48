import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/keys/policy.js';
import type { KeyRecord } from '../../src/keys/ports.js';
import type { KeyState } from '../../src/keys/states.js';
import {
  MAX_PREFIXES,
  planTasks,
  reasonToRetire,
  retirementTimes,
  type Task,
} from '../../src/service/clockwork.js';
import { DAY_MS, START } from './fixture.js';
import { dataKey } from './rows.js';

const POLICY = parsePolicy('card-number', { pool: { validKeys: 3, handOut: 2, futureKeys: 2 } });

describe('the clockwork', () => {
  it('makes valid and future keys, and the index keys of the policy, for an empty store', () => {
    expect(count(plan([]))).toEqual({ 'make-data': 5, 'make-index': 1 });
  });

  it('has nothing to do when all is as it should be', () => {
    expect(plan(steadyKeys())).toEqual([]);
  });

  it('retires a key past its time, promotes the oldest FUTURE key and makes one ahead', () => {
    const tasks = plan(steadyKeys(), START + 11 * DAY_MS);
    expect(count(tasks)).toEqual({ retire: 1, promote: 1, 'make-data': 1 });
    expect(tasks.find((task) => task.do === 'promote')?.key.fingerprint).toBe(steadyKeys()[3]!.fingerprint);
  });

  it.each([
    ['sealFor has ended', { retires: new Date(START) }],
    ['sealFor has ended', { retires: null }],
    ['maxCells is reached', { cells: 2 ** 40 }],
    ['maxBytes is reached', { bytes: 2 ** 50 }],
    ['all nonce prefixes are used', { prefixes: MAX_PREFIXES }],
  ] as const)('retires a key when %s', (why, change) => {
    const key = { ...dataKey('ENCRYPT', 1, START + DAY_MS), ...change };
    expect(reasonToRetire(key, POLICY, START)).toBe(why);
    expect(plan([key]).filter((task) => task.do === 'retire')).toMatchObject([{ why }]);
  });

  it('keeps a key up to the last cell, byte and millisecond', () => {
    const key = {
      ...dataKey('ENCRYPT', 1, START + 1),
      cells: 2 ** 40 - 1,
      bytes: 2 ** 50 - 1,
      prefixes: MAX_PREFIXES - 1,
    };
    expect(reasonToRetire(key, POLICY, START)).toBeUndefined();
  });

  it('does not promote a FUTURE key before its activation date, nor one that could not be proven', () => {
    const late = { ...dataKey('FUTURE', 1), activates: new Date(START + 1) };
    const unproven = dataKey('FUTURE', 2);
    const tasks = plan([late, unproven], START, new Set([unproven.fingerprint]));
    expect(tasks.filter((task) => task.do === 'promote')).toEqual([]);
    expect(plan([late], START + 1).filter((task) => task.do === 'promote')).toHaveLength(1);
  });

  it('counts unproven keys as made, so that a KMS that only wraps does not fill the store', () => {
    const futures = [1, 2, 3, 4, 5].map((i) => dataKey('FUTURE', i));
    expect(plan(futures, START, new Set(futures.map((key) => key.fingerprint)))).toMatchObject([
      { do: 'make-index' },
    ]);
  });

  it('makes no second index key while rows are missing or refused', () => {
    const tasks = planTasks({ now: START, policy: POLICY, keys: [], unproven: new Set(), complete: false });
    expect(count(tasks)).toEqual({ 'make-data': 5 });
  });

  it('comes to rest when its tasks are performed, whatever the keys were', () => {
    const states: KeyState[] = [
      'FUTURE',
      'ENCRYPT',
      'DECRYPT',
      'RECRYPT',
      'EXPIRED',
      'SUSPENDED',
      'DESTROYED',
    ];
    const someKey = fc.record({
      state: fc.constantFrom(...states),
      retiresInDays: fc.integer({ min: -40, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(someKey, { maxLength: 30 }), (drawn) => {
        let keys = drawn.map(({ state, retiresInDays }, i) =>
          dataKey(state, i, START + retiresInDays * DAY_MS),
        );
        for (let round = 0; round < 3; round++) keys = perform(keys, plan(keys));
        expect(plan(keys).filter((task) => task.do !== 'make-index')).toEqual([]);
        const sealing = keys.filter((key) => key.state === 'ENCRYPT');
        expect(sealing.length).toBeGreaterThanOrEqual(POLICY.pool.validKeys);
        expect(keys.filter((key) => key.state === 'FUTURE').length).toBeGreaterThanOrEqual(
          POLICY.pool.futureKeys,
        );
      }),
    );
  });
});

describe('retirement times', () => {
  it('let key i of n retire at now + sealFor (i+1)/n when all start at once', () => {
    expect(retirementTimes(0, 30, 3, [], 3).sort((a, b) => a - b)).toEqual([10, 20, 30]);
  });

  it('give the full time to the one key that replaces a retired one', () => {
    expect(retirementTimes(0, 30, 3, [10, 20], 1)).toEqual([30]);
    expect(retirementTimes(1, 30, 3, [10, 20], 1)).toEqual([31]);
  });

  it('close the gap of several keys that retired together', () => {
    expect(retirementTimes(0, 30, 3, [9], 2)).toEqual([30, 20]);
  });

  it('never end early when more keys seal than the policy has places', () => {
    expect(retirementTimes(0, 30, 3, [10, 20, 30], 2)).toEqual([30, 30]);
  });
});

function plan(keys: readonly KeyRecord[], now = START, unproven = new Set<string>()): readonly Task[] {
  return planTasks({ now, policy: POLICY, keys, unproven, complete: true });
}

function count(tasks: readonly Task[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const task of tasks) counts[task.do] = (counts[task.do] ?? 0) + 1;
  return counts;
}

/** Three keys that seal, spread over 30 days, two made ahead, and the index key. */
function steadyKeys(): KeyRecord[] {
  const sealing = [10, 20, 30].map((days, i) => dataKey('ENCRYPT', i, START + days * DAY_MS));
  const index: KeyRecord = { ...dataKey('ENCRYPT', 9), kind: 'index', version: 1 };
  return [...sealing, dataKey('FUTURE', 3), dataKey('FUTURE', 4), index];
}

function perform(keys: readonly KeyRecord[], tasks: readonly Task[]): KeyRecord[] {
  const after = new Map(keys.map((key) => [key.fingerprint, key]));
  for (const task of tasks) {
    if (task.do === 'retire') after.set(task.key.fingerprint, { ...task.key, state: 'DECRYPT' });
    if (task.do === 'make-data') {
      const made = dataKey('FUTURE', 100 + after.size);
      after.set(made.fingerprint, made);
    }
    if (task.do === 'promote') {
      after.set(task.key.fingerprint, { ...task.key, state: 'ENCRYPT', retires: new Date(task.retires) });
    }
  }
  return [...after.values()];
}
