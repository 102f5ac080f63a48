/** The keyring: unwrapped DEKs of pools, by fingerprint, loaded from the key source where they are not here. */
import type { LRUCache } from 'lru-cache';
import type { FieldSealError } from '../errors.js';
import { admitDataKey } from './admit.js';
import { closedError } from './closed.js';
import { later } from './deadline.js';
import type { Deadline } from './deadline.js';
import { HeldKey } from './held-key.js';
import type { HeldKeys } from './held-keys.js';
import { KeyLoads } from './key-loads.js';
import type { Policy } from './policy.js';
import type { Clock, LoadOutcome, UnwrappedKey } from './ports.js';
import type { Ready } from './ready.js';
import { refusals } from './refusals.js';

/** For how long "there is no such key" is believed, in ms: another process may just have made it. */
const NOT_FOUND_MS = 5_000;

/** A key with a lease of its own, or why there is none. */
export type Leased = HeldKey | FieldSealError;

export interface KeyringOptions {
  readonly application: string;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly held: HeldKeys;
  readonly clock: Clock;
  readonly load: (purpose: string, fingerprints: readonly string[]) => Promise<readonly LoadOutcome[]>;
  /** The key of the purpose's pool with this fingerprint: pool keys open as well and do not live here. */
  readonly inPool: (purpose: string, fingerprint: string) => HeldKey | undefined;
}

export class Keyring {
  readonly #options: KeyringOptions;
  readonly #held: HeldKeys;
  readonly #notFound: LRUCache<string, FieldSealError>;
  readonly #loads: KeyLoads;
  #unwraps = 0;

  constructor(options: KeyringOptions) {
    this.#options = options;
    this.#held = options.held;
    this.#notFound = refusals(options.clock, NOT_FOUND_MS);
    this.#loads = new KeyLoads({
      clock: options.clock,
      load: options.load,
      admit: (purpose, unwrapped, waiting, asked) => this.#admit(purpose, unwrapped, waiting, asked),
      refused: (purpose, fingerprint, error) => {
        if (error.code === 'ERR_KEY_NOT_FOUND') this.#notFound.set(this.#id(purpose, fingerprint), error);
      },
      settled: (held) => {
        this.#held.keep(held);
      },
    });
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
    const held = this.#options.inPool(purpose, fingerprint) ?? this.#held.find('pool', purpose, fingerprint);
    if (held !== undefined) {
      held.lease();
      return held;
    }
    const error = this.#held.closed ? closedError() : this.#notFound.get(this.#id(purpose, fingerprint));
    return error ?? this.#loads.request(purpose, fingerprint);
  }

  /** Keys that are being loaded are refused when they come. */
  revoke(fingerprints: readonly string[]): void {
    this.#loads.revoke(fingerprints);
  }

  close(): void {
    this.#loads.close(closedError());
    this.#notFound.clear();
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
    return this.#held.id('pool', purpose, fingerprint);
  }
}
