/** The moment at which keys are judged: the clock of this machine held against the one of the key store. */
import { StoreError } from '../errors.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';

/**
 * Farther apart than this, ms, one of the two clocks is wrong. NTP keeps machines within milliseconds; a machine that was
 * just resumed may be behind for some seconds.
 */
export const MAX_CLOCK_ERROR_MS = 30_000;

export interface Moment {
  /**
   * By the clock of the key store, which all processes share, or of this machine where the store has none; ms. What is
   * written says this.
   */
  readonly now: number;
  /** By whichever clock is ahead, ms: a key that has ended by either seals no more. */
  readonly latest: number;
  /** Why no key may be made, moved or vouched for now. Undefined where the clocks agree. */
  readonly doubt: StoreError | undefined;
}

/** Who has the clock: a key store, or its rows under the lock. */
interface Watch {
  now(): Promise<number | undefined>;
}

/** Reads both clocks, and raises the alarm where they do not agree. One query. @throws StoreError as the store. */
export async function readMoment(desk: ScopeDesk, store: Watch): Promise<Moment> {
  const before = desk.clock.wall();
  const stored = await store.now();
  const after = desk.clock.wall();
  if (stored === undefined) return { now: after, latest: after, doubt: undefined };
  // An answer that was long on its way tells no more than that it was given in between.
  const aheadMs = Math.max(0, before - stored) - Math.max(0, stored - after);
  const doubt = Math.abs(aheadMs) > MAX_CLOCK_ERROR_MS ? wrongClock(desk, aheadMs, stored) : undefined;
  if (doubt !== undefined) desk.emit({ type: 'alarm', code: doubt.code, message: doubt.message });
  return { now: stored, latest: Math.max(stored, after), doubt };
}

function wrongClock({ scope }: ScopeDesk, aheadMs: number, stored: number): StoreError {
  const off = `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
  return new StoreError(
    'ERR_STORE_CLOCK',
    `Keys of ${nameOf(scope)}: expected the clock of this machine to be within ${MAX_CLOCK_ERROR_MS / 1_000} s of the key store's, ` +
      `got it ${off} it, which says ${new Date(stored).toISOString()}. This process makes and moves no key until they agree, ` +
      'and seals under none that has ended by either; set the clock that is wrong (NTP).',
  );
}
