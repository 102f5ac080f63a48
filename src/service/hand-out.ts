/** Chooses the keys that a process may seal with until its next hand-out, and unwraps what has to be unwrapped. */
import { KeyError, type FieldSealError } from '../errors.js';
import type { CellKeyKind, HandedOutKey, HandedOutPublicKey, KeyRecord, RandomBelow } from '../keys/ports.js';
import type { Policy } from '../keys/policy.js';
import { endOf, isMisdated, reasonToRetire } from './clockwork.js';
import { isUnderSilentKeks } from './kek-spread.js';
import { unwrapRoot } from './key-maker.js';
import { codedError, isPassingTrouble } from './kms-trouble.js';
import type { Moment } from './moment.js';
import { settleAll } from '../keys/parallel.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';

export interface WantedKeys {
  readonly kind: CellKeyKind;
  /** Keys that may seal, and not in the process that asks. */
  readonly exhausted: readonly string[];
}

type Choice = (usable: readonly KeyRecord[], desk: ScopeDesk) => readonly KeyRecord[];

/**
 * A process holds few secrets, so data keys are drawn; public keys are none, and the more of them, the less one private key
 * opens.
 */
const CHOICES: Readonly<Record<CellKeyKind, Choice>> = {
  data: (usable, { randomBelow, kms }) => {
    const drawn = shuffle(usable, randomBelow);
    const last = drawn.filter((key) => isUnderSilentKeks(kms, key));
    return [...drawn.filter((key) => !last.includes(key)), ...last];
  },
  pair: (usable) => usable,
};

/**
 * The keys of this kind that may seal now: data keys in the random order in which they are drawn, those under KEKs that do
 * not answer last; pairs as they are.
 * @throws KeyError `ERR_POOL_EMPTY` when there is none; StoreError `ERR_STORE_CLOCK` where a clock may be the reason.
 */
export function chooseKeys(
  desk: ScopeDesk,
  keys: readonly KeyRecord[],
  { kind, exhausted }: WantedKeys,
  { now, latest, doubt }: Moment,
): readonly KeyRecord[] {
  const { policy, scope } = desk;
  const usable = keys.filter(
    (key) =>
      key.kind === kind &&
      key.state === 'ENCRYPT' &&
      !isMisdated(key, now) &&
      reasonToRetire(key, policy, latest) === undefined,
  );
  const wanted = usable.filter(({ fingerprint }) => !exhausted.includes(fingerprint));
  if (wanted.length > 0) return CHOICES[kind](wanted, desk);
  if (usable.length > 0) throw allExhausted(desk, usable.length);
  if (doubt !== undefined) throw doubt;
  throw new KeyError(
    'ERR_POOL_EMPTY',
    `${nameOf(scope)}: no key of the key store may seal now (expected ${policy.pool.validKeys} in state ENCRYPT); look for alarms of the process that makes keys (manage: true), and for its access to the KMS.`,
  );
}

/**
 * Unwraps the first `pool.handOut` drawn keys, in parallel. In the place of those that cannot be unwrapped come the next
 * ones, with an alarm for each, until there are enough or all were tried. A KEK or key store that does not answer is not asked
 * again.
 * `claim` is awaited before keys are unwrapped.
 * @throws the first error when none could be unwrapped.
 */
export async function unwrapDrawn(
  desk: ScopeDesk,
  drawn: readonly KeyRecord[],
  claim: (keys: readonly KeyRecord[]) => Promise<void>,
): Promise<readonly HandedOutKey[]> {
  const { handOut } = desk.policy.pool;
  const unwrapped: Unwrapped[] = [];
  const failed: Failed[] = [];
  let rest = drawn;
  while (unwrapped.length < handOut && rest.length > 0) {
    const next = rest.slice(0, handOut - unwrapped.length);
    const claimed = claim(next);
    const roots = await settleAll(next, async (row) => {
      await claimed;
      return unwrapRoot(desk.kms, row);
    });
    for (const [i, row] of next.entries()) {
      const root = roots[i]!;
      if (root.status === 'fulfilled') unwrapped.push({ row, root: root.value });
      else failed.push({ row, error: codedError(root.reason) });
    }
    // A key store that does not count these keys counts no others.
    if (failed.some(({ error }) => error.code === 'ERR_STORE_UNAVAILABLE')) break;
    const silent = silentKeks(unwrapped, failed);
    rest = rest.slice(next.length).filter(({ wraps }) => !wraps.every(({ kek }) => silent.has(kek)));
  }
  if (unwrapped.length === 0) throw failed[0]!.error;
  for (const { row, error } of failed) raiseAlarm(desk, row, error);
  const now = desk.clock.wall();
  return unwrapped.map(({ row, root }) => handedOutKey(row, root, desk.policy, now));
}

interface Unwrapped {
  readonly row: KeyRecord;
  readonly root: Buffer;
}

interface Failed {
  readonly row: KeyRecord;
  readonly error: FieldSealError;
}

/** KEKs under which keys failed for want of an answer, and none was unwrapped. */
function silentKeks(unwrapped: readonly Unwrapped[], failed: readonly Failed[]): ReadonlySet<string> {
  const silent = new Set(failed.filter(({ error }) => isPassingTrouble(error)).flatMap(keksOf));
  for (const kek of unwrapped.flatMap(keksOf)) silent.delete(kek);
  return silent;
}

function keksOf({ row }: Unwrapped | Failed): string[] {
  return row.wraps.map(({ kek }) => kek);
}

/** The public halves of chosen pairs, whose rows vouch for them. */
export function publicHalves(
  { clock, policy }: ScopeDesk,
  chosen: readonly KeyRecord[],
): readonly HandedOutPublicKey[] {
  const now = clock.wall();
  return chosen.flatMap((row) =>
    row.publicKey === null
      ? []
      : [{ spki: row.publicKey, sealUntil: sealUntil(endOf(row, policy), now, policy) }],
  );
}

/** Until when one hand-out may seal, so that a late writer is bounded. Wall clock, ms. */
export function sealUntil(retires: number, handedOutAt: number, policy: Policy): number {
  const { lifetimeMs } = policy.pool;
  return Math.min(retires + lifetimeMs, handedOutAt + lifetimeMs + policy.outage.sealMs);
}

function handedOutKey(row: KeyRecord, root: Buffer, policy: Policy, now: number): HandedOutKey {
  const { fingerprint, commitment, version } = row;
  const retires = endOf(row, policy);
  return { fingerprint, commitment, version, root, retires, sealUntil: sealUntil(retires, now, policy) };
}

function shuffle<T>(items: readonly T[], randomBelow: RandomBelow): readonly T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(randomBelow(rest.length), 1));
}

/** Where a process counts for itself alone, it has reached the limits of keys that are far from them for all others. */
function allExhausted({ policy, scope }: ScopeDesk, count: number): KeyError {
  const { maxCells, maxBytes } = policy.key;
  return new KeyError(
    'ERR_POOL_EMPTY',
    `${nameOf(scope)}: this process alone has sealed key.maxCells (${maxCells}) or key.maxBytes (${maxBytes}) under each of the ${count} keys that may seal now. A process with manage: false cannot report what it seals, so nobody retires them before their sealFor ends: raise the limits, let it have more keys (pool.validKeys), or give it manage: true.`,
  );
}

function raiseAlarm(desk: ScopeDesk, { fingerprint }: KeyRecord, { code, message }: FieldSealError): void {
  const what = `Key ${fingerprint}: left out of the hand-out of ${nameOf(desk.scope)}. ${message}`;
  desk.emit({ type: 'alarm', code, message: what, fingerprint });
}
