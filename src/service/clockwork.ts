/**
 * The key service's clockwork: what is to be done with the keys of one scope now. Pure and idempotent; a table of
 * rules, to which further states and moves are added as rows. `tick.ts` performs the tasks.
 */
import { hasIndexKeys } from '../keys/delivery-options.js';
import type { Policy } from '../keys/policy.js';
import type { CellKeyKind, Delivery, KeyRecord } from '../keys/ports.js';
import { MAX_CLOCK_ERROR_MS } from './moment.js';

/** Random nonce prefixes of 96 bits that one key may hand out with suite xaes-256-gcm, for 2^24 cells each. */
export const MAX_PREFIXES = 2 ** 17;

/** A date this far ahead, ms, is none of a right clock: two that pass the comparison of `moment.ts` differ by no more. */
const AHEAD_MS = 2 * MAX_CLOCK_ERROR_MS;

export interface ClockworkView {
  /** By the clock of the key store, ms. */
  readonly now: number;
  readonly policy: Policy;
  /** The rows of the scope that can be trusted. */
  readonly keys: readonly KeyRecord[];
  /** FUTURE keys that could not be proven in this tick. */
  readonly unproven: ReadonlySet<string>;
  /** Whether every row that the events tell of is here and genuine. */
  readonly complete: boolean;
}

export type Task =
  | { readonly do: 'retire'; readonly key: KeyRecord; readonly why: string; readonly misdated: boolean }
  | { readonly do: 'promote'; readonly key: KeyRecord; readonly retires: number }
  | { readonly do: 'make-data' }
  | { readonly do: 'make-pair' }
  | { readonly do: 'make-index'; readonly version: number };

type Rule = (view: ClockworkView) => readonly Task[];

const RULES: readonly Rule[] = [retireSpentKeys, promoteFutureKeys, makeFutureKeys, makeIndexKeys];

/** What new cells are sealed under; envelope cells have data keys of their own. */
const SEALS: Readonly<Record<Delivery, CellKeyKind | undefined>> = {
  pool: 'data',
  envelope: undefined,
  sealed: 'pair',
};
const MAKES = { data: { do: 'make-data' }, pair: { do: 'make-pair' } } as const;

/** Whether cells name keys of this kind. */
export function isCellKey({ kind }: Pick<KeyRecord, 'kind'>): boolean {
  return kind === 'data' || kind === 'pair';
}

/** Everything that is to be done now, in the order in which it is to be done; empty when all is as it should be. */
export function planTasks(view: ClockworkView): readonly Task[] {
  return RULES.flatMap((rule) => rule(view));
}

/** Why a key must stop sealing, or undefined while it may go on. */
export function reasonToRetire(key: KeyRecord, policy: Policy, now: number): string | undefined {
  if (isMisdated(key, now)) return 'a wrong clock made its dates';
  if (endOf(key, policy) <= now) return 'sealFor has ended';
  if (key.cells >= policy.key.maxCells) return 'maxCells is reached';
  if (key.bytes >= policy.key.maxBytes) return 'maxBytes is reached';
  if (key.prefixes >= MAX_PREFIXES) return 'all nonce prefixes are used';
  return undefined;
}

/**
 * Whether the key began to seal at a time that is still to come: no policy makes such dates, a machine with a wrong clock
 * does. How long a key seals proves nothing, since `sealFor` may have been another one when it began.
 */
export function isMisdated({ created, activates }: KeyRecord, now: number): boolean {
  return (activates ?? created).getTime() > now + AHEAD_MS;
}

/**
 * When a key that seals stops, wall clock in ms: as its row says, and no later than `sealFor` lets a key seal that began
 * when it did. So a `sealFor` that was made shorter counts at once, and one process with a longer one burns no key of
 * the others, nor they of its.
 */
export function endOf({ created, activates, retires }: KeyRecord, { key }: Policy): number {
  if (retires === null) return -Infinity;
  return Math.min(retires.getTime(), (activates ?? created).getTime() + key.sealForMs);
}

/**
 * When `count` new keys retire, wall clock in ms. `sealFor` is cut into `validKeys` slots; keys that seal already
 * occupy theirs and the new ones take the latest free slots, so that ages stay spread however many start at once.
 */
export function retirementTimes(
  now: number,
  sealForMs: number,
  validKeys: number,
  occupied: readonly number[],
  count: number,
): number[] {
  const slotMs = sealForMs / validKeys;
  const taken = new Set(occupied.map((retires) => Math.ceil((retires - now) / slotMs)));
  const times: number[] = [];
  for (let slot = validKeys; times.length < count; slot--) {
    // Fewer free slots than keys happens after validKeys was lowered; the rest takes the full time.
    if (slot === 0) return [...times, ...Array.from({ length: count - times.length }, () => now + sealForMs)];
    if (!taken.has(slot)) times.push(Math.round(now + slot * slotMs));
  }
  return times;
}

/** Of whatever kind: a purpose may have changed its delivery. */
function retireSpentKeys({ now, policy, keys }: ClockworkView): readonly Task[] {
  const sealing = keys.filter((key) => isCellKey(key) && key.state === 'ENCRYPT');
  return sealing.flatMap((key) => {
    const why = reasonToRetire(key, policy, now);
    return why === undefined ? [] : [{ do: 'retire', key, why, misdated: isMisdated(key, now) } as const];
  });
}

function promoteFutureKeys(view: ClockworkView): readonly Task[] {
  const { now, policy, unproven } = view;
  const sealing = sealingKeys(view);
  const ready = inState(view, 'FUTURE')
    .filter((key) => !unproven.has(key.fingerprint) && (key.activates?.getTime() ?? now) <= now)
    .slice(0, freePlaces(view));
  const occupied = sealing.map((key) => endOf(key, policy));
  const times = retirementTimes(now, policy.key.sealForMs, policy.pool.validKeys, occupied, ready.length);
  return ready.map((key, i) => ({ do: 'promote', key, retires: times[i]! }));
}

/** Unproven keys count as made: a KMS that wraps but does not unwrap must not fill the store. */
function makeFutureKeys(view: ClockworkView): readonly Task[] {
  const kind = SEALS[view.policy.delivery];
  if (kind === undefined) return [];
  const wanted = view.policy.pool.futureKeys + freePlaces(view);
  const missing = Math.max(0, wanted - inState(view, 'FUTURE').length);
  return Array.from({ length: missing }, () => MAKES[kind]);
}

/** A version whose row is hidden must not get a second key: its blind indexes would never be found again. */
function makeIndexKeys({ policy, keys, complete }: ClockworkView): readonly Task[] {
  if (!complete || !hasIndexKeys(policy.index)) return [];
  const made = new Set(keys.filter((key) => key.kind === 'index').map((key) => key.version));
  return policy.index.versions
    .filter((version) => !made.has(version))
    .map((version) => ({ do: 'make-index', version }));
}

function freePlaces(view: ClockworkView): number {
  return Math.max(0, view.policy.pool.validKeys - sealingKeys(view).length);
}

function sealingKeys(view: ClockworkView): readonly KeyRecord[] {
  const { now, policy } = view;
  return inState(view, 'ENCRYPT').filter((key) => reasonToRetire(key, policy, now) === undefined);
}

/** Of the kind that the purpose seals with; none where cells have keys of their own. */
function inState({ policy, keys }: ClockworkView, state: KeyRecord['state']): readonly KeyRecord[] {
  const kind = SEALS[policy.delivery];
  return keys.filter((key) => key.kind === kind && key.state === state);
}
