/** A DEK in this process. */
import { inspect } from 'node:util';
import { KeyError } from '../errors.js';
import { Blocks } from './blocks.js';
import { fingerprintBytes } from './fingerprint.js';
import { identify, type KeyOwner, withRoot } from './key-schedule.js';
import { SUITES, type Suite, type SuiteKey } from './suites.js';

export type { KeyOwner } from './key-schedule.js';

/** Seals and opens cells. Its key bytes live inside cipher objects, never in a property, a string or JSON. */
export class DataKey {
  /** UUID in lower case: the public name of the key, in every cell it sealed. */
  readonly fingerprint: string;
  /** 32 bytes, public: compare it in constant time with what the key store holds. */
  readonly commitment: Buffer;
  readonly #block = new Blocks(1);
  #suites: ReadonlyMap<Suite, SuiteKey> | undefined;

  private constructor(fingerprint: string, commitment: Buffer, suites: ReadonlyMap<Suite, SuiteKey>) {
    this.fingerprint = fingerprint;
    this.commitment = commitment;
    this.#block.bytes.set(fingerprintBytes(fingerprint));
    this.#suites = suites;
  }

  /**
   * The key of this root and owner. Takes the root over and wipes it, also when it throws.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; ConfigError `ERR_CONFIG_FIELD`
   */
  static derive(root: Buffer, owner: KeyOwner): DataKey {
    return withRoot(root, 'data', owner, (derive) => {
      const { fingerprint, commitment } = identify(derive);
      const suites = new Map<Suite, SuiteKey>();
      for (const entry of SUITES) {
        suites.set(entry.suite, entry.key(derive(entry.label, entry.keyBytes), fingerprint));
      }
      return new DataKey(fingerprint, commitment, suites);
    });
  }

  get closed(): boolean {
    return this.#suites === undefined;
  }

  /** Forgets the key. Every use afterwards throws; closing twice is nothing. */
  close(): void {
    if (!this.#suites) return;
    for (const suite of this.#suites.values()) suite.close();
    this.#suites = undefined;
  }

  /**
   * For sealing and opening only.
   * @throws KeyError `ERR_KEY_CLOSED`
   */
  forSuite(suite: Suite): SuiteKey {
    if (!this.#suites) throw closedKey(this.fingerprint);
    return this.#suites.get(suite)!;
  }

  /** The 16 bytes of the fingerprint, for comparing with cells. */
  get fingerprintBlock(): Blocks {
    return this.#block;
  }

  toString(): string {
    return `[DataKey ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** What every use of a closed key throws. */
export function closedKey(fingerprint: string): KeyError {
  return new KeyError(
    'ERR_KEY_CLOSED',
    `Key ${fingerprint} is closed: expected a key that is still held, got one that was dropped; load it again.`,
  );
}
