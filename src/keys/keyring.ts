/** The keyring: unwrapped DEKs of this process for opening, least recently used first out, closed when their time is up. */
import { LRUCache } from 'lru-cache';
import type { FieldSealError } from '../errors.js';
import { admitDataKey } from './admit.js';
import { closedError } from './closed.js';
import { hasPassed, later, msUntil } from './deadline.js';
import type { Deadline } from './deadline.js';
import { HeldKey } from './held-key.js';
import { KeyLoads } from './key-loads.js';
import type { Policy } from './policy.js';
import type { Clock, LoadOutcome, UnwrappedKey } from './ports.js';
import type { Ready } from './ready.js';

/** For how long "there is no such key" is believed, in ms: another process may just have made it. */
const NOT_FOUND_MS = 5_000;
/** Ids kept ready per purpose. */
const MAX_IDS = 10_000;
/** Fingerprints remembered as not found; anybody who writes rows can invent more. */
const MAX_NOT_FOUND = 10_000;

/** A key with a lease of its own, or why there is none. */
export type Leased = HeldKey | FieldSealError;

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
  /** By purpose, then fingerprint: every page looks keys up, and making an id takes longer than that. */
  readonly #ids = new Map<string, Map<string, string>>();
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
   * The key, to be released when the page is done, or why it cannot be had: never rejects. Keys that are not here are
   * loaded together with all others that are asked for in the same microtask.
   */
  lease(purpose: string, fingerprint: string): Ready<Leased> {
    const held = this.#options.inPool(purpose, fingerprint) ?? this.#find(purpose, fingerprint);
    if (held !== undefined) {
      held.lease();
      return held;
    }
    const error = this.#closed ? closedError() : this.#notFound.get(this.#id(purpose, fingerprint));
    return error ?? this.#loads.request(purpose, fingerprint);
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
    const ids = this.#idsOf(purpose);
    let id = ids.get(fingerprint);
    if (id === undefined) {
      if (ids.size >= MAX_IDS) ids.clear();
      const { application, environment, policies } = this.#options;
      const delivery = policies.get(purpose)?.delivery ?? 'pool';
      id = JSON.stringify([application, environment, purpose, 'data', delivery, fingerprint]);
      ids.set(fingerprint, id);
    }
    return id;
  }

  #idsOf(purpose: string): Map<string, string> {
    let ids = this.#ids.get(purpose);
    if (ids === undefined) this.#ids.set(purpose, (ids = new Map<string, string>()));
    return ids;
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
