/** A key of a pool: a hand-out that passed the door, with the moments after which it neither seals nor opens. */
import type { KeyOwner } from '../cell/data-key.js';
import type { Suite } from '../cell/suites.js';
import { admitDataKey, refuseKey } from './admit.js';
import { hasPassed, later, msUntil } from './deadline.js';
import type { Deadline } from './deadline.js';
import { HeldKey } from './held-key.js';
import type { Policy } from './policy.js';
import type { Clock, HandedOutKey } from './ports.js';

/**
 * Cells of one hand-out. An XAES-256-GCM nonce prefix serves 2^24 cells, whose 96 random bits collide with a chance of
 * 2^-49; the last 2^16 are left to the statement that is on its way when the count is looked at.
 */
const HAND_OUT_CELLS: Readonly<Record<Suite, number>> = {
  'aes-256-siv': Infinity,
  'xaes-256-gcm': 2 ** 24 - 2 ** 16,
};

export interface PoolKey {
  readonly held: HeldKey;
  /** Wall clock, ms: when the key leaves ENCRYPT. */
  readonly retires: number;
  readonly sealUntil: Deadline;
  /** Sealed under this hand-out. */
  cells: number;
}

/** How long one hand-out seals at most, whatever the source says: its wall clock may differ. */
export function longestSealMs({ pool, outage }: Policy): number {
  return pool.lifetimeMs + outage.sealMs;
}

/**
 * The key of a hand-out that was asked for at `asked`, or undefined when it may not seal any more by the clocks of this
 * process.
 * @throws KeyError `ERR_KEY_COMMITMENT`.
 */
export function admitPoolKey(
  key: HandedOutKey,
  owner: KeyOwner,
  policy: Policy,
  clock: Clock,
  asked: Deadline,
): PoolKey | undefined {
  const sealUntil = later(asked, Math.min(longestSealMs(policy), key.sealUntil - asked.wall));
  if (!Number.isFinite(key.retires) || !(msUntil(sealUntil, clock) > 0)) {
    refuseKey(key);
    return undefined;
  }
  const opensUntil = later(asked, policy.key.openCacheMs);
  const held = new HeldKey(policy.purpose, admitDataKey(key, owner), opensUntil);
  return { held, retires: key.retires, sealUntil, cells: 0 };
}

/** Whether the hand-out, not looking at the limits of the key itself, may seal. */
export function maySeal(key: PoolKey, policy: Policy, clock: Clock): boolean {
  return !hasPassed(key.sealUntil, clock) && key.cells < HAND_OUT_CELLS[policy.suite];
}

/** A key of the pool opens as long as it seals, even beyond `openCache`: the process holds it anyway. */
export function mayOpen(key: PoolKey, clock: Clock): boolean {
  return !hasPassed(key.held.opensUntil, clock) || !hasPassed(key.sealUntil, clock);
}
