import { describe, expect, it } from 'vitest';
import {
  assertMove,
  KEY_STATES,
  stateAfterSuspension,
  stateOpens,
  stateRevokes,
  stateSeals,
} from '../../src/keys/states.js';
import type { KeyState } from '../../src/keys/states.js';
import { thrown } from './seal-fixture.js';

/** The legal moves, written once more by hand, and no others. */
const LEGAL: readonly (readonly [KeyState | null, KeyState, KeyState?])[] = [
  [null, 'FUTURE'],
  [null, 'ENCRYPT'],
  ['FUTURE', 'ENCRYPT'],
  ['ENCRYPT', 'DECRYPT'],
  ['DECRYPT', 'RECRYPT'],
  ['RECRYPT', 'EXPIRED'],
  ['EXPIRED', 'DESTROYED'],
  ['FUTURE', 'DESTROYED'],
  ['RECRYPT', 'DECRYPT'],
  ['EXPIRED', 'RECRYPT'],
  ['FUTURE', 'SUSPENDED'],
  ['ENCRYPT', 'SUSPENDED'],
  ['DECRYPT', 'SUSPENDED'],
  ['RECRYPT', 'SUSPENDED'],
  ['SUSPENDED', 'FUTURE', 'FUTURE'],
  ['SUSPENDED', 'DECRYPT', 'ENCRYPT'],
  ['SUSPENDED', 'DECRYPT', 'DECRYPT'],
  ['SUSPENDED', 'RECRYPT', 'RECRYPT'],
  ['FUTURE', 'COMPROMISED'],
  ['ENCRYPT', 'COMPROMISED'],
  ['DECRYPT', 'COMPROMISED'],
  ['RECRYPT', 'COMPROMISED'],
  ['EXPIRED', 'COMPROMISED'],
  ['SUSPENDED', 'COMPROMISED', 'FUTURE'],
  ['SUSPENDED', 'COMPROMISED', 'ENCRYPT'],
  ['SUSPENDED', 'COMPROMISED', 'DECRYPT'],
  ['SUSPENDED', 'COMPROMISED', 'RECRYPT'],
  ['COMPROMISED', 'EXPIRED'],
];

const nameOf = (move: readonly (KeyState | null | undefined)[]): string => move.map(String).join(' ');
const legal = new Set(LEGAL.map((move) => nameOf([move[0], move[1], move[2]])));
const befores = ['FUTURE', 'ENCRYPT', 'DECRYPT', 'RECRYPT'] as const;

type Move = readonly [from: KeyState | null, to: KeyState, before: KeyState | undefined];

const all = [null, ...KEY_STATES].flatMap((from) =>
  KEY_STATES.flatMap((to): Move[] =>
    from === 'SUSPENDED' ? befores.map((before) => [from, to, before]) : [[from, to, undefined]],
  ),
);

describe('the moves of a key', () => {
  it.each(all)('from %s to %s (suspended in %s) follow the table', (from, to, before) => {
    const move = (): void => {
      assertMove(from, to, before ?? null);
    };
    if (legal.has(nameOf([from, to, before]))) expect(move).not.toThrow();
    else expect(thrown(move, 'ERR_KEY_MOVE').message).toContain(to);
  });

  it('from SUSPENDED lead nowhere but to COMPROMISED while the state before is unknown', () => {
    thrown(() => {
      assertMove('SUSPENDED', 'DECRYPT');
    }, 'ERR_KEY_MOVE');
    assertMove('SUSPENDED', 'COMPROMISED');
  });

  it('never lead back to ENCRYPT', () => {
    const origins = all
      .filter(([, to]) => to === 'ENCRYPT')
      .filter(([from, to, before]) => legal.has(nameOf([from, to, before])));
    expect(origins.map(([from]) => from)).toEqual([null, 'FUTURE']);
    expect(stateAfterSuspension('ENCRYPT')).toBe('DECRYPT');
    expect(stateAfterSuspension('RECRYPT')).toBe('RECRYPT');
  });
});

describe('what a state allows', () => {
  it('is sealing in ENCRYPT alone', () => {
    expect(KEY_STATES.filter(stateSeals)).toEqual(['ENCRYPT']);
  });

  it('is opening for everyone, the recrypt service, or the restore role', () => {
    expect(KEY_STATES.filter((state) => stateOpens(state))).toEqual(['ENCRYPT', 'DECRYPT', 'RECRYPT']);
    expect(KEY_STATES.filter((state) => stateOpens(state, 'recrypt'))).toEqual([
      'ENCRYPT',
      'DECRYPT',
      'RECRYPT',
      'COMPROMISED',
    ]);
    expect(KEY_STATES.filter((state) => stateOpens(state, 'restore'))).toEqual([
      'ENCRYPT',
      'DECRYPT',
      'RECRYPT',
      'EXPIRED',
    ]);
  });

  it('is staying in a process, except in three', () => {
    expect(KEY_STATES.filter(stateRevokes)).toEqual(['SUSPENDED', 'COMPROMISED', 'DESTROYED']);
  });
});
