/** The keyring: keys that cells name by fingerprint, unwrapped, loaded from the key source where they are not here. */
import type { LRUCache } from 'lru-cache';
import type { DataKey } from '../cell/data-key.js';
import type { PrivateKey } from '../cell/key-pair.js';
import type { FieldSealError } from '../errors.js';
import { admitDataKey, admitPrivateKey } from './admit.js';
import { closedError } from './closed.js';
import { later } from './deadline.js';
import type { Deadline } from './deadline.js';
import { HeldKey, type Closeable } from './held-key.js';
import type { HeldKeys } from './held-keys.js';
import { KeyLoads } from './key-loads.js';
import type { Policy } from './policy.js';
import type { CellKeyKind, Clock, Delivery, KeySource, UnwrappedKey } from './ports.js';
import type { Ready } from './ready.js';
import { refusals } from './refusals.js';

/** For how long "there is no such key" is believed, in ms: another process may just have made it. */
const NOT_FOUND_MS = 5_000;

/** A key with a lease of its own, or why there is none. */
export type Leased<Key extends Closeable = DataKey> = HeldKey<Key> | FieldSealError;

export interface KeyringOptions<Key extends Closeable> {
  readonly application: string;
  readonly environment: string;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly held: HeldKeys<Key>;
  readonly clock: Clock;
  readonly load: KeySource['load'];
  /** A key that lives elsewhere in this process and opens as well. */
  readonly elsewhere?: (purpose: string, fingerprint: string) => HeldKey<Key> | undefined;
}

/** How the keys of one kind are let in. */
interface KeyringKind<Key extends Closeable> {
  readonly kind: CellKeyKind;
  readonly delivery: Delivery;
  readonly admit: (unwrapped: UnwrappedKey, owner: KeyringOwner) => Key;
}

interface KeyringOwner {
  readonly application: string;
  readonly environment: string;
  readonly purpose: string;
}

/** Data keys of pools. */
const DATA_KEYS: KeyringKind<DataKey> = { kind: 'data', delivery: 'pool', admit: admitDataKey };
/** Private halves of pairs. */
const PRIVATE_KEYS: KeyringKind<PrivateKey> = { kind: 'pair', delivery: 'sealed', admit: admitPrivateKey };

export class Keyring<Key extends Closeable = DataKey> {
  readonly #of: KeyringKind<Key>;
  readonly #options: KeyringOptions<Key>;
  readonly #held: HeldKeys<Key>;
  readonly #notFound: LRUCache<string, FieldSealError>;
  readonly #loads: KeyLoads<Key>;
  #unwraps = 0;

  private constructor(of: KeyringKind<Key>, options: KeyringOptions<Key>) {
    this.#of = of;
    this.#options = options;
    this.#held = options.held;
    this.#notFound = refusals(options.clock, NOT_FOUND_MS);
    this.#loads = new KeyLoads({
      clock: options.clock,
      load: (purpose, fingerprints) => options.load(purpose, fingerprints, of.kind),
      admit: (purpose, unwrapped, waiting, asked) => this.#admit(purpose, unwrapped, waiting, asked),
      refused: (purpose, fingerprint, error) => {
        if (error.code === 'ERR_KEY_NOT_FOUND') this.#notFound.set(this.#id(purpose, fingerprint), error);
      },
      settled: (held) => {
        this.#held.keep(of.delivery, held);
      },
    });
  }

  static ofDataKeys(options: KeyringOptions<DataKey>): Keyring {
    return new Keyring(DATA_KEYS, options);
  }

  static ofPrivateKeys(options: KeyringOptions<PrivateKey>): Keyring<PrivateKey> {
    return new Keyring(PRIVATE_KEYS, options);
  }

  /** Keys that were unwrapped for this process's opening so far. */
  get unwraps(): number {
    return this.#unwraps;
  }

  /**
   * The key, to be released when the page is done, or why it cannot be had: never rejects. Keys that are not here are
   * loaded together with all others that are asked for in the same microtask.
   */
  lease(purpose: string, fingerprint: string): Ready<Leased<Key>> {
    const held =
      this.#options.elsewhere?.(purpose, fingerprint) ??
      this.#held.find(this.#of.delivery, purpose, fingerprint);
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
  #admit(purpose: string, unwrapped: UnwrappedKey, waiting: number, asked: Deadline): HeldKey<Key> {
    const { application, environment, policies } = this.#options;
    const policy = policies.get(purpose)!;
    const key = this.#of.admit(unwrapped, { application, environment, purpose });
    this.#unwraps += 1;
    const held = new HeldKey(purpose, key, later(asked, policy.key.openCacheMs));
    for (let i = 0; i < waiting; i++) held.lease();
    return held;
  }

  #id(purpose: string, fingerprint: string): string {
    return this.#held.id(this.#of.delivery, purpose, fingerprint);
  }
}
