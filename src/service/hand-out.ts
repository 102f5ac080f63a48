/** Chooses the keys that a process may seal with until its next hand-out, and unwraps what has to be unwrapped. */
import { KeyError, type FieldSealError } from '../errors.js';
import type { CellKeyKind, HandedOutKey, HandedOutPublicKey, KeyRecord, RandomBelow } from '../keys/ports.js';
import type { Policy } from '../keys/policy.js';
import { endOf, isMisdated, reasonToRetire } from './clockwork.js';
import { unwrapRoot } from './key-maker.js';
import { codedError } from './kms-trouble.js';
import type { Moment } from './moment.js';
import { settleAll } from '../keys/parallel.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';

export interface WantedKeys {
  readonly kind: CellKeyKind;
  /** Keys that may seal, and not in the process that asks. */
  readonly exhausted: readonly string[];
}

type Choice = (usable: readonly KeyRecord[], desk: ScopeDesk) => readonly KeyRecord[];

/** A process holds few secrets; public keys are none, and the more of them, the less one private key opens. */
const CHOICES: Readonly<Record<CellKeyKind, Choice>> = {
  data: (usable, { policy, randomBelow }) => drawSome(usable, policy.pool.handOut, randomBelow),
  pair: (usable) => usable,
};

/**
 * Of the keys of this kind that may seal now, `pool.handOut` data keys at random, or all pairs.
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
 * Unwraps the chosen keys in parallel. Keys that cannot be unwrapped are left out with an alarm while one remains.
 * @throws the first error when none could be unwrapped.
 */
export async function unwrapChosen(
  desk: ScopeDesk,
  chosen: readonly KeyRecord[],
): Promise<readonly HandedOutKey[]> {
  const roots = await settleAll(chosen, (row) => unwrapRoot(desk.kms, row));
  const now = desk.clock.wall();
  const handedOut: HandedOutKey[] = [];
  for (const [i, row] of chosen.entries()) {
    const root = roots[i]!;
    if (root.status === 'fulfilled') handedOut.push(handedOutKey(row, root.value, desk.policy, now));
  }
  const failed = chosen.flatMap((row, i) => {
    const root = roots[i]!;
    return root.status === 'rejected' ? [{ row, error: codedError(root.reason) }] : [];
  });
  if (handedOut.length === 0) throw failed[0]!.error;
  for (const { row, error } of failed) raiseAlarm(desk, row, error);
  return handedOut;
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

/** A Fisher-Yates shuffle that stops after `count` draws. */
function drawSome<T>(items: readonly T[], count: number, randomBelow: RandomBelow): readonly T[] {
  const rest = [...items];
  const drawn: T[] = [];
  while (drawn.length < count && rest.length > 0) {
    drawn.push(...rest.splice(randomBelow(rest.length), 1));
  }
  return drawn;
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
