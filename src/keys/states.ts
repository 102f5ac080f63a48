/** The states of a data key and the moves between them (NIST SP 800-57 Part 1, section 7). */
import { KeyError } from '../errors.js';

export const KEY_STATES = [
  'FUTURE',
  'ENCRYPT',
  'DECRYPT',
  'RECRYPT',
  'EXPIRED',
  'SUSPENDED',
  'COMPROMISED',
  'DESTROYED',
] as const;

export type KeyState = (typeof KEY_STATES)[number];

/** Who asks for a key: an ordinary process, the recrypt service, or an operator with the restore role. */
export type KeyUser = 'application' | 'recrypt' | 'restore';

interface StateRule {
  readonly seals: boolean;
  readonly opensFor: readonly KeyUser[];
  /** Whether a process that holds the key must drop it at once. */
  readonly revokes: boolean;
  readonly moves: readonly KeyState[];
}

const everyone: readonly KeyUser[] = ['application', 'recrypt', 'restore'];

/** Nothing returns to ENCRYPT, so a key that once stopped sealing never seals again. */
const STATES: Readonly<Record<KeyState, StateRule>> = {
  FUTURE: {
    seals: false,
    opensFor: [],
    revokes: false,
    moves: ['ENCRYPT', 'DESTROYED', 'SUSPENDED', 'COMPROMISED'],
  },
  ENCRYPT: {
    seals: true,
    opensFor: everyone,
    revokes: false,
    moves: ['DECRYPT', 'SUSPENDED', 'COMPROMISED'],
  },
  DECRYPT: {
    seals: false,
    opensFor: everyone,
    revokes: false,
    moves: ['RECRYPT', 'SUSPENDED', 'COMPROMISED'],
  },
  RECRYPT: {
    seals: false,
    opensFor: everyone,
    revokes: false,
    moves: ['DECRYPT', 'EXPIRED', 'SUSPENDED', 'COMPROMISED'],
  },
  EXPIRED: {
    seals: false,
    opensFor: ['restore'],
    revokes: false,
    moves: ['RECRYPT', 'DESTROYED', 'COMPROMISED'],
  },
  SUSPENDED: {
    seals: false,
    opensFor: [],
    revokes: true,
    // Narrowed to one state by the state before; see stateAfterSuspension.
    moves: ['FUTURE', 'DECRYPT', 'RECRYPT', 'COMPROMISED'],
  },
  COMPROMISED: { seals: false, opensFor: ['recrypt'], revokes: true, moves: ['EXPIRED'] },
  DESTROYED: { seals: false, opensFor: [], revokes: true, moves: [] },
};

/** A key is born ahead of its time, or sealing at the first start of a purpose. */
const BIRTHS: readonly KeyState[] = ['FUTURE', 'ENCRYPT'];

/** Whether a key in this state may seal. */
export function stateSeals(state: KeyState): boolean {
  return STATES[state].seals;
}

/** Whether a key in this state may be opened with, by default by an ordinary process. */
export function stateOpens(state: KeyState, user: KeyUser = 'application'): boolean {
  return STATES[state].opensFor.includes(user);
}

/** Whether a key that moved to this state must leave every process at once. */
export function stateRevokes(state: KeyState): boolean {
  return STATES[state].revokes;
}

/** The state a suspended key returns to: the one before, except that ENCRYPT returns to DECRYPT. */
export function stateAfterSuspension(before: KeyState): KeyState {
  return before === 'ENCRYPT' ? 'DECRYPT' : before;
}

/**
 * Refuses every move that is not in the table.
 * @param from `null` when the key is made.
 * @param before For a suspended key, the state it was suspended in.
 * @throws KeyError `ERR_KEY_MOVE`.
 */
export function assertMove(from: KeyState | null, to: KeyState, before: KeyState | null = null): void {
  const legal = legalMoves(from, before);
  if (legal.includes(to)) return;
  const origin = from ?? 'nothing';
  const list = legal.length === 0 ? 'no other state' : legal.join(', ');
  throw new KeyError(
    'ERR_KEY_MOVE',
    `A key cannot move from ${origin} to ${to}; from ${origin} it moves to ${list}.`,
  );
}

function legalMoves(from: KeyState | null, before: KeyState | null): readonly KeyState[] {
  if (from === null) return BIRTHS;
  const { moves } = STATES[from];
  if (from !== 'SUSPENDED') return moves;
  const after = before === null ? undefined : stateAfterSuspension(before);
  return moves.filter((state) => state === after || state === 'COMPROMISED');
}
