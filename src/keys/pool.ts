/** The pool of one purpose: the few keys that this process seals with at the moment, replaced on a timer. */
import type { DataKey, KeyOwner } from '../cell/data-key.js';
import { KeyError } from '../errors.js';
import { refuseKey } from './admit.js';
import { closedError } from './closed.js';
import { hasPassed, msUntil } from './deadline.js';
import type { Deadline } from './deadline.js';
import type { FieldSealEvent } from './events.js';
import type { HeldKey } from './held-key.js';
import type { Policy } from './policy.js';
import { admitPoolKey, mayOpen, maySeal } from './pool-key.js';
import type { PoolKey } from './pool-key.js';
import type { Clock, HandedOutKey, KeyUsage, RandomBelow } from './ports.js';
import { Refresh, type Renewed } from './refresh.js';
import { answerOf, codedError } from './source-calls.js';
import { stalePool } from './stale-pool.js';
import { UsageLedger } from './usage-ledger.js';

export interface PoolOptions {
  readonly owner: KeyOwner;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
  readonly handOut: (
    usage: readonly KeyUsage[],
    exhausted: readonly string[],
  ) => Promise<readonly HandedOutKey[]>;
  readonly emit: (event: FieldSealEvent) => void;
  /** Takes over a key that has left the pool and may still open. */
  readonly retire: (key: HeldKey) => void;
}

/** Drawing never waits: whatever is asked of the key source happens behind it. Those who may wait ask for `moreKeys` first. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #what: string;
  readonly #ledger: UsageLedger;
  readonly #refresh: Refresh;
  /** Revocations that arrive while a hand-out is under way, which may have been made before them. */
  readonly #revokedMeanwhile = new Set<string>();
  #keys: readonly PoolKey[] = [];
  /** Whether keys were dropped because every time of theirs had passed. */
  #expired = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#clock = options.clock;
    this.#what = `Pool of purpose ${options.policy.purpose}`;
    this.#ledger = new UsageLedger(options.policy, options.clock);
    this.#refresh = new Refresh({
      ...options,
      what: this.#what,
      renew: async (asked) => this.#take(await this.#fetch(asked)),
      failed: () => {
        this.#dropExpired();
      },
      outageLeftMs: () => this.outageLeftMs,
    });
  }

  get fingerprints(): readonly string[] {
    return this.#keys.map((key) => key.held.fingerprint);
  }

  /** Since the last successful refresh, by the clock that is ahead. */
  get ageMs(): number {
    return this.#refresh.ageMs;
  }

  /** How long the pool seals on if no refresh succeeds any more. */
  get outageLeftMs(): number {
    return Math.max(0, ...this.#keys.map((key) => msUntil(key.sealUntil, this.#clock)));
  }

  /**
   * A key for each of `rows` rows, each drawn at random from those that may seal now. For use before the next turn of
   * the event loop. A statement may pass `maxCells` and `maxBytes` by its own size.
   * @throws KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`, `ERR_CLOSED`.
   */
  draw(rows: number): DataKey[] {
    this.#refresh.runIfDue();
    const keys = this.#drawable().map((key) => key.held.key);
    if (keys.length === 0) {
      this.#refresh.runIfIdle();
      throw this.#nothingToDraw();
    }
    return Array.from({ length: rows }, () => keys[this.#options.randomBelow(keys.length)]!);
  }

  /** Where no key is left to draw, a promise of a refresh; else nothing. It never rejects. */
  moreKeys(): Promise<void> | undefined {
    return this.#drawable().length > 0 ? undefined : this.#refresh.waitUnlessFailed();
  }

  /** Adds the cells of one column to the counters of the keys drawn for them; `bytes` is their plaintext together. */
  count(drawn: readonly (DataKey | undefined)[], cells: readonly (Buffer | null)[], bytes: number): void {
    for (const [fingerprint, sealed] of this.#ledger.addAll(drawn, cells, bytes)) {
      const key = this.#entry(fingerprint);
      if (key !== undefined) key.cells += sealed;
    }
  }

  /** The key with this fingerprint, for opening. */
  find(fingerprint: string): HeldKey | undefined {
    const key = this.#entry(fingerprint);
    return key !== undefined && mayOpen(key, this.#clock) ? key.held : undefined;
  }

  /** Takes keys out at once. The last one gone asks for new ones. */
  revoke(fingerprints: readonly string[]): void {
    for (const fingerprint of fingerprints) this.#revokedMeanwhile.add(fingerprint);
    const isRevoked = (key: PoolKey): boolean => fingerprints.includes(key.held.fingerprint);
    const revoked = this.#keys.filter(isRevoked);
    if (revoked.length === 0) return;
    this.#keys = this.#keys.filter((key) => !isRevoked(key));
    for (const key of revoked) key.held.drop();
    if (this.#keys.length === 0) this.#refresh.runBehind();
  }

  /**
   * Replaces the keys by a new hand-out; concurrent calls share one. When it fails the old keys stay, an event says
   * why, and it is tried again after a while.
   * @throws FieldSealError of the key source; KeyError `ERR_POOL_EMPTY`, `ERR_CLOSED`.
   */
  refresh(): Promise<void> {
    return this.#refresh.run();
  }

  close(): void {
    this.#refresh.close();
    for (const key of this.#keys) key.held.drop();
    this.#keys = [];
  }

  /** Usage goes with the request; where the answer is an error it goes again with the next. */
  async #fetch(asked: Deadline): Promise<readonly PoolKey[]> {
    const usage = this.#ledger.unreported();
    this.#revokedMeanwhile.clear();
    const handedOut = await answerOf(
      this.#clock,
      this.#what,
      () => this.#options.handOut(usage, this.#ledger.exhausted()),
      (late) => {
        late.forEach(refuseKey);
      },
    );
    this.#ledger.markReported(usage);
    return this.#admitAll(handedOut, asked);
  }

  #admitAll(handedOut: readonly HandedOutKey[], asked: Deadline): readonly PoolKey[] {
    const { closed } = this.#refresh;
    const keys = new Map<string, PoolKey>();
    for (const key of handedOut) {
      if (closed || keys.has(key.fingerprint) || !this.#isWanted(key.fingerprint)) refuseKey(key);
      else {
        const admitted = this.#admit(key, asked);
        if (admitted !== undefined) keys.set(key.fingerprint, admitted);
      }
    }
    if (closed) throw closedError();
    if (keys.size > 0) return [...keys.values()];
    throw new KeyError(
      'ERR_POOL_EMPTY',
      `${this.#what}: expected keys that may seal now, got ${handedOut.length}, none of them usable. Check the states ` +
        'of the keys, the alarms, the clock of this machine against that of the key source, and whether this process has ' +
        'sealed key.maxCells or key.maxBytes under them.',
    );
  }

  #isWanted(fingerprint: string): boolean {
    return !this.#revokedMeanwhile.has(fingerprint) && this.#ledger.isWithin(fingerprint);
  }

  /** A bad key costs an alarm, not the whole pool. */
  #admit(key: HandedOutKey, asked: Deadline): PoolKey | undefined {
    const { owner, emit } = this.#options;
    try {
      return admitPoolKey(key, owner, this.#policy, this.#clock, asked);
    } catch (error) {
      const { code, message } = codedError(this.#what, error);
      emit({ type: 'alarm', code, message, fingerprint: key.fingerprint });
      return undefined;
    }
  }

  #take(keys: readonly PoolKey[]): Renewed {
    const before = this.#keys;
    this.#keys = keys;
    this.#expired = false;
    for (const key of before) this.#leave(key);
    this.#ledger.forget((fingerprint) => this.#entry(fingerprint) !== undefined);
    const firstRetires = Math.min(...keys.map((key) => key.retires));
    return { keys: keys.length, nextInMs: firstRetires - this.#clock.wall() };
  }

  /** A key that may still open goes on doing so in the keyring, unless the new hand-out has it as well. */
  #leave(key: PoolKey): void {
    const returned = this.#entry(key.held.fingerprint) !== undefined;
    if (returned || hasPassed(key.held.opensUntil, this.#clock)) key.held.drop();
    else this.#options.retire(key.held);
  }

  /** Keys that may neither seal nor open any more do not wait in memory for the end of an outage. */
  #dropExpired(): void {
    const expired = this.#keys.filter((key) => !mayOpen(key, this.#clock));
    if (expired.length === 0) return;
    this.#keys = this.#keys.filter((key) => !expired.includes(key));
    for (const key of expired) key.held.drop();
    this.#expired = true;
  }

  #drawable(): readonly PoolKey[] {
    return this.#keys.filter((key) => this.#mayBeDrawn(key));
  }

  #mayBeDrawn(key: PoolKey): boolean {
    return maySeal(key, this.#policy, this.#clock) && this.#ledger.isWithin(key.held.fingerprint);
  }

  #entry(fingerprint: string): PoolKey | undefined {
    return this.#keys.find((key) => key.held.fingerprint === fingerprint);
  }

  #isStale(): boolean {
    const areStale = this.#keys.every((key) => hasPassed(key.sealUntil, this.#clock));
    return this.#expired || (this.#keys.length > 0 && areStale);
  }

  #nothingToDraw(): KeyError {
    if (this.#refresh.closed) return closedError();
    if (this.#isStale()) return stalePool(this.#what, this.#policy, this.#refresh);
    const { lastFailure } = this.#refresh;
    return new KeyError(
      'ERR_POOL_EMPTY',
      `${this.#what}: expected a key that may seal, got none: its keys (${this.#keys.length}) have sealed all they may, ` +
        'or were revoked. Nothing is sealed; ' +
        (lastFailure === undefined
          ? 'new keys are being asked for, try again.'
          : `new keys were asked for in vain, and are again after a while. ${lastFailure.message}`),
    );
  }
}
