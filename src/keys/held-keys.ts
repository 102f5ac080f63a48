/** Keys of this process for opening: least recently used first out, closed when their time is up. */
import { LRUCache } from 'lru-cache';
import type { DataKey } from '../cell/data-key.js';
import { hasPassed, msUntil } from './deadline.js';
import type { Closeable, HeldKey } from './held-key.js';
import type { CellKeyKind, Clock, Delivery } from './ports.js';

/** Ids kept ready per purpose and delivery. */
const MAX_IDS = 10_000;

export interface HeldKeysOptions {
  readonly application: string;
  readonly environment: string;
  /** What is held. */
  readonly kind: CellKeyKind | 'session';
  /** Keys kept beyond those in use. */
  readonly max: number;
  readonly clock: Clock;
}

/**
 * A key that is evicted, revoked or past its time gets no new lease and is closed with its last one. lru-cache decides
 * only which key goes first: its own TTL knows one clock, and does not dispose by itself.
 */
export class HeldKeys<Key extends Closeable = DataKey> {
  readonly #options: HeldKeysOptions;
  readonly #clock: Clock;
  readonly #held: LRUCache<string, HeldKey<Key>>;
  /** By delivery, purpose and name: every page looks keys up, and making an id takes longer than that. */
  readonly #ids: Readonly<Record<Delivery, Map<string, Map<string, string>>>> = {
    pool: new Map(),
    envelope: new Map(),
    sealed: new Map(),
  };
  #closed = false;
  #sweepAt = Infinity;
  #cancelSweep: () => void = () => undefined;

  constructor(options: HeldKeysOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#held = new LRUCache({
      max: options.max,
      dispose: (held) => {
        held.drop();
      },
    });
  }

  get size(): number {
    return this.#held.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The key that was kept under this name, without a lease. */
  find(delivery: Delivery, purpose: string, name: string): HeldKey<Key> | undefined {
    const id = this.id(delivery, purpose, name);
    const held = this.#held.get(id);
    if (held === undefined || !hasPassed(held.opensUntil, this.#clock)) return held;
    this.#held.delete(id);
    return undefined;
  }

  /** Takes over a key that opens until its time is up. @param name Its fingerprint, or what tells it from others of that. */
  keep(delivery: Delivery, held: HeldKey<Key>, name = held.fingerprint): void {
    if (this.#closed || hasPassed(held.opensUntil, this.#clock)) {
      held.drop();
      return;
    }
    this.#held.set(this.id(delivery, held.purpose, name), held);
    this.#sweepIn(msUntil(held.opensUntil, this.#clock));
  }

  /** No page gets these keys from now on. */
  revoke(fingerprints: readonly string[]): void {
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
    this.#held.clear();
  }

  /** One text for each key that there can be. */
  id(delivery: Delivery, purpose: string, name: string): string {
    const ids = this.#idsOf(delivery, purpose);
    let id = ids.get(name);
    if (id === undefined) {
      if (ids.size >= MAX_IDS) ids.clear();
      const { application, environment, kind } = this.#options;
      id = JSON.stringify([application, environment, purpose, kind, delivery, name]);
      ids.set(name, id);
    }
    return id;
  }

  #idsOf(delivery: Delivery, purpose: string): Map<string, string> {
    const ofDelivery = this.#ids[delivery];
    let ids = ofDelivery.get(purpose);
    if (ids === undefined) ofDelivery.set(purpose, (ids = new Map<string, string>()));
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
