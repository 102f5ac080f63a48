/** The public keys of one purpose: what this process seals session keys to, replaced on a timer. Nothing here is secret. */
import { PublicKey, type PairOwner } from '../cell/key-pair.js';
import { KeyError } from '../errors.js';
import { closedError } from './closed.js';
import { earlier, hasPassed, later, msUntil } from './deadline.js';
import type { Deadline } from './deadline.js';
import type { FieldSealEvent } from './events.js';
import type { Policy } from './policy.js';
import { longestSealMs } from './pool-key.js';
import type { Clock, HandedOutPublicKey, RandomBelow } from './ports.js';
import { Refresh, type Renewed } from './refresh.js';
import { eachInSlices } from './slices.js';
import { answerOf, codedError } from './source-calls.js';
import { stalePool } from './stale-pool.js';

export interface PublicKeyPoolOptions {
  readonly owner: PairOwner;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
  readonly handOut: () => Promise<readonly HandedOutPublicKey[]>;
  readonly emit: (event: FieldSealEvent) => void;
}

/** A public key that may seal. */
export interface UsablePublicKey {
  readonly key: PublicKey;
  readonly sealUntil: Deadline;
}

interface Entry extends UsablePublicKey {
  /** What the source said, wall clock in ms, and the moment that this is by both clocks. */
  readonly stated: number;
  readonly end: Deadline;
}

/** Drawing never waits: whatever is asked of the key source happens behind it. Those who may wait ask for `moreKeys` first. */
export class PublicKeyPool {
  readonly #options: PublicKeyPoolOptions;
  readonly #what: string;
  readonly #refresh: Refresh;
  /** Revocations that arrive while keys are being fetched, which may have been listed before them. */
  readonly #revokedMeanwhile = new Set<string>();
  #entries: readonly Entry[] = [];

  constructor(options: PublicKeyPoolOptions) {
    this.#options = options;
    this.#what = `Public keys of purpose ${options.policy.purpose}`;
    this.#refresh = new Refresh({
      ...options,
      what: this.#what,
      renew: async (asked) => this.#take(await this.#fetch(), asked),
      failed: () => undefined,
      outageLeftMs: () => this.outageLeftMs,
    });
  }

  get fingerprints(): readonly string[] {
    return this.#entries.map(({ key }) => key.fingerprint);
  }

  /** Since the last successful refresh, by the clock that is ahead. */
  get ageMs(): number {
    return this.#refresh.ageMs;
  }

  /** How long sealing goes on if no refresh succeeds any more. */
  get outageLeftMs(): number {
    return Math.max(0, ...this.#entries.map(({ sealUntil }) => msUntil(sealUntil, this.#options.clock)));
  }

  /**
   * A key at random among those that may seal now.
   * @throws KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`, `ERR_CLOSED`.
   */
  draw(): UsablePublicKey {
    this.#refresh.runIfDue();
    const usable = this.#usable();
    const { randomBelow } = this.#options;
    if (usable.length > 0) return usable[randomBelow(usable.length)]!;
    this.#refresh.runIfIdle();
    throw this.#nothingToDraw();
  }

  /** Where the keys have run out for want of a refresh, a promise of one; else nothing. It never rejects. */
  moreKeys(): Promise<void> | undefined {
    if (this.#entries.length === 0 || this.#usable().length > 0) return undefined;
    return this.#refresh.waitUnlessFailed();
  }

  /** Nothing is sealed under these from now on. The last one gone asks for new ones. */
  revoke(fingerprints: readonly string[]): void {
    for (const fingerprint of fingerprints) this.#revokedMeanwhile.add(fingerprint);
    const left = this.#entries.filter(({ key }) => !fingerprints.includes(key.fingerprint));
    if (left.length === this.#entries.length) return;
    this.#entries = left;
    if (left.length === 0) this.#refresh.runBehind();
  }

  /**
   * Replaces the keys; concurrent calls share one. When it fails the old ones stay, an event says why, and it is tried
   * again after a while.
   * @throws FieldSealError of the key source; KeyError `ERR_POOL_EMPTY`, `ERR_CLOSED`.
   */
  refresh(): Promise<void> {
    return this.#refresh.run();
  }

  close(): void {
    this.#refresh.close();
    this.#entries = [];
  }

  #usable(): readonly Entry[] {
    return this.#entries.filter(({ sealUntil }) => !hasPassed(sealUntil, this.#options.clock));
  }

  async #fetch(): Promise<readonly HandedOutPublicKey[]> {
    const { clock, handOut } = this.#options;
    this.#revokedMeanwhile.clear();
    const handedOut = await answerOf(clock, this.#what, handOut);
    this.#refuseIfClosed();
    return handedOut;
  }

  #refuseIfClosed(): void {
    if (this.#refresh.closed) throw closedError();
  }

  /** Keys that are revoked between two slices may have been parsed before, so all are asked about at the end. */
  async #take(handedOut: readonly HandedOutPublicKey[], asked: Deadline): Promise<Renewed> {
    const before = new Map(this.#entries.map((entry) => [wordsOf(entry.key, entry.stated), entry]));
    const read: Entry[] = [];
    await eachInSlices(handedOut, (key) => {
      this.#refuseIfClosed();
      read.push(...this.#read(key, before, asked));
    });
    this.#refuseIfClosed();
    const entries = read.filter((entry) => this.#maySeal(entry));
    if (entries.length === 0) throw this.#nothingUsable(handedOut.length);
    this.#entries = entries;
    // Half of what is left, so that a list that was published long ago is followed before it runs out.
    return { keys: entries.length, nextInMs: this.outageLeftMs / 2 };
  }

  /** A bad key costs an alarm, not all of them. */
  #read(
    handedOut: HandedOutPublicKey,
    before: ReadonlyMap<string, Entry>,
    asked: Deadline,
  ): readonly Entry[] {
    const { owner, emit } = this.#options;
    const { spki, parsed, sealUntil } = handedOut;
    try {
      return [this.#entry(parsed ?? PublicKey.parse(spki, owner), sealUntil, before, asked)];
    } catch (error) {
      const { code, message } = codedError(this.#what, error);
      emit({ type: 'alarm', code, message });
      return [];
    }
  }

  #maySeal({ key, sealUntil }: Entry): boolean {
    return !hasPassed(sealUntil, this.#options.clock) && !this.#revokedMeanwhile.has(key.fingerprint);
  }

  /** The same words do not last longer when they are read again after the wall clock was set back. */
  #entry(key: PublicKey, stated: number, before: ReadonlyMap<string, Entry>, asked: Deadline): Entry {
    const same = before.get(wordsOf(key, stated));
    const read = later(asked, stated - asked.wall);
    const end = same === undefined ? read : earlier(read, same.end);
    return { key, stated, end, sealUntil: earlier(end, later(asked, longestSealMs(this.#options.policy))) };
  }

  #nothingUsable(got: number): KeyError {
    return new KeyError(
      'ERR_POOL_EMPTY',
      `${this.#what}: expected keys that may seal now, got ${got}, none of them usable. Check the states of the key ` +
        'pairs, the alarms, and the clock of this machine against that of the key source.',
    );
  }

  #nothingToDraw(): KeyError {
    if (this.#refresh.closed) return closedError();
    if (this.#entries.length > 0) return stalePool(this.#what, this.#options.policy, this.#refresh);
    return new KeyError(
      'ERR_POOL_EMPTY',
      `${this.#what}: expected a key pair that may seal, got none: all were revoked. Nothing is sealed; new keys are ` +
        'being asked for, try again.',
    );
  }
}

/** What a source says of a key. */
function wordsOf({ fingerprint }: PublicKey, stated: number): string {
  return `${fingerprint} ${stated}`;
}
