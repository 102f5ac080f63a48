/** The keyring: unwrapped DEKs of this process for opening, least recently used first out, closed when their time is up. */
import { LRUCache } from 'lru-cache';
import type { FieldSealError } from '../errors.js';
import { admitDataKey } from './admit.js';
import { closedError } from './closed.js';
import { hasPassed, later, msUntil } from './deadline.js';
import type { Deadline } from './deadline.js';
import { HeldKey } from './held-key.js';
import { KeyLoads } from './key-loads.js';
import { KeyLease } from './key-lease.js';
import type { Policy } from './policy.js';
import type { Clock, LoadOutcome, UnwrappedKey } from './ports.js';
import type { Ready } from './ready.js';

/** For how long "there is no such key" is believed, in ms: another process may just have made it. */
const NOT_FOUND_MS = 5_000;
/** Fingerprints remembered as not found; anybody who writes rows can invent more. */
const MAX_NOT_FOUND = 10_000;

export interface KeyringOptions {
  readonly application: string;
  readonly environment: string;
  readonly policies: ReadonlyMap<string, Policy>;
  /** Keys kept beyond those in use. */
  readonly max: number;
  readonly clock: Clock;
  readonly load: (purpose: string, fingerprints: readonly string[]) => Promise<readonly LoadOutcome[]>;
  /** The key of the purpose's pool with this fingerprint: pool keys open as well and do not live here. */
  readonly inPool: (purpose: string, fingerprint: string) => HeldKey | undefined;
}

/**
 * Pages lease keys; a key that is evicted, revoked or past its time gets no new lease and is closed with its last one.
 * lru-cache decides only which key goes first: its own TTL knows one clock, and does not dispose by itself.
 */
export class Keyring {
  readonly #options: KeyringOptions;
  readonly #clock: Clock;
  readonly #held: LRUCache<string, HeldKey>;
  readonly #scopes = new Map<string, string>();
  readonly #notFound: LRUCache<string, FieldSealError>;
  readonly #loads: KeyLoads;
  #unwraps = 0;
  #closed = false;
  #sweepAt = Infinity;
  #cancelSweep: () => void = () => undefined;

  constructor(options: KeyringOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#held = new LRUCache({
      max: options.max,
      dispose: (held) => {
        held.drop();
      },
    });
    this.#notFound = new LRUCache({
      max: MAX_NOT_FOUND,
      ttl: NOT_FOUND_MS,
      // Without it lru-cache would set a timer of its own to look at the clock once a millisecond.
      ttlResolution: 0,
      // lru-cache takes an entry that started at 0 for one without a time.
      perf: { now: () => options.clock.monotonic() + 1 },
    });
    this.#loads = new KeyLoads({
      clock: options.clock,
      load: options.load,
      admit: (purpose, unwrapped, waiting, asked) => this.#admit(purpose, unwrapped, waiting, asked),
      refused: (purpose, fingerprint, error) => {
        if (error.code === 'ERR_KEY_NOT_FOUND') this.#notFound.set(this.#id(purpose, fingerprint), error);
      },
      settled: (held) => {
        this.keep(held);
      },
    });
  }

  get size(): number {
    return this.#held.size;
  }

  /** Roots that were unwrapped for this process's opening so far. */
  get unwraps(): number {
    return this.#unwraps;
  }

  /**
   * The keys of one page, to be released when the page is done. Never rejects: a key that cannot be had is an error
   * of the lease. Asks the source once for all keys that are not here, and not at all when they are.
   * @param fingerprints Some may be there more than once.
   */
  lease(purpose: string, fingerprints: readonly string[]): Ready<KeyLease> {
    const lease = new KeyLease();
    let missing: Set<string> | undefined;
    for (const fingerprint of fingerprints) {
      if (!lease.has(fingerprint) && !this.#leaseHeld(lease, purpose, fingerprint))
        (missing ??= new Set()).add(fingerprint);
    }
    return missing === undefined ? lease : this.#load(lease, purpose, missing);
  }

  #load(lease: KeyLease, purpose: string, missing: ReadonlySet<string>): Promise<KeyLease> {
    return new Promise((resolve) => {
      let waiting = missing.size;
      for (const fingerprint of missing) {
        this.#loads.request(purpose, fingerprint, (loaded) => {
          if ('key' in loaded) lease.take(loaded.key);
          else lease.refuse(fingerprint, loaded.error);
          waiting -= 1;
          if (waiting === 0) resolve(lease);
        });
      }
    });
  }

  /** Takes over a key that opens until its time is up. */
  keep(held: HeldKey): void {
    if (this.#closed || hasPassed(held.opensUntil, this.#clock)) {
      held.drop();
      return;
    }
    this.#held.set(this.#id(held.purpose, held.fingerprint), held);
    this.#sweepIn(msUntil(held.opensUntil, this.#clock));
  }

  /** No page gets these keys from now on, nor those of them that are being loaded. */
  revoke(fingerprints: readonly string[]): void {
    this.#loads.revoke(fingerprints);
    for (const [id, held] of [...this.#held.entries()]) {
      if (fingerprints.includes(held.fingerprint)) this.#held.delete(id);
    }
  }

  fingerprints(purpose: string): readonly string[] {
    return [...this.#held.values()]
      .filter((held) => held.purpose === purpose)
      .map((held) => held.fingerprint);
  }

  close(): void {
    this.#closed = true;
    this.#cancelSweep();
    this.#loads.close(closedError());
    this.#held.clear();
    this.#notFound.clear();
  }

  /** False when the key has to be loaded. */
  #leaseHeld(lease: KeyLease, purpose: string, fingerprint: string): boolean {
    const held = this.#options.inPool(purpose, fingerprint) ?? this.#find(purpose, fingerprint);
    if (held !== undefined) {
      held.lease();
      lease.take(held);
      return true;
    }
    const error = this.#closed ? closedError() : this.#notFound.get(this.#id(purpose, fingerprint));
    if (error !== undefined) lease.refuse(fingerprint, error);
    return error !== undefined;
  }

  #find(purpose: string, fingerprint: string): HeldKey | undefined {
    const id = this.#id(purpose, fingerprint);
    const held = this.#held.get(id);
    if (held === undefined || !hasPassed(held.opensUntil, this.#clock)) return held;
    this.#held.delete(id);
    return undefined;
  }

  /** Leased for those who wait before it is kept: a page with more keys than `max` evicts its own first ones. */
  #admit(purpose: string, unwrapped: UnwrappedKey, waiting: number, asked: Deadline): HeldKey {
    const { application, policies } = this.#options;
    const policy = policies.get(purpose)!;
    const key = admitDataKey(unwrapped, { application, purpose });
    this.#unwraps += 1;
    const held = new HeldKey(purpose, key, later(asked, policy.key.openCacheMs));
    for (let i = 0; i < waiting; i++) held.lease();
    return held;
  }

  #id(purpose: string, fingerprint: string): string {
    return this.#scope(purpose) + fingerprint;
  }

  /** What the ids of one purpose have in common; made once, since every page looks keys up. */
  #scope(purpose: string): string {
    let scope = this.#scopes.get(purpose);
    if (scope === undefined) {
      const { application, environment, policies } = this.#options;
      const delivery = policies.get(purpose)?.delivery ?? 'pool';
      scope = JSON.stringify([application, environment, purpose, 'data', delivery]);
      this.#scopes.set(purpose, scope);
    }
    return scope;
  }

  /** Keys are closed when their time is up, whether or not anybody asks for them again. */
  #sweepIn(delayMs: number): void {
    const at = this.#clock.monotonic() + delayMs;
    if (at >= this.#sweepAt) return;
    this.#cancelSweep();
    this.#sweepAt = at;
    this.#cancelSweep = this.#clock.after(delayMs, () => {
      this.#sweep();
    });
  }

  #sweep(): void {
    this.#sweepAt = Infinity;
    let nextMs = Infinity;
    for (const [id, held] of [...this.#held.entries()]) {
      const leftMs = msUntil(held.opensUntil, this.#clock);
      if (leftMs <= 0) this.#held.delete(id);
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Infinity) this.#sweepIn(nextMs);
  }
}
