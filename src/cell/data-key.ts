/** A DEK in this process. */
import { inspect } from 'node:util';
import { KeyError } from '../errors.js';
import { Blocks } from './blocks.js';
import {
  type Delivery,
  type DeliveryHeader,
  encodeHeader,
  type EnvelopeParts,
  type SealedParts,
} from './delivery-header.js';
import { fingerprintBytes } from './fingerprint.js';
import { type Derive, identify, type KeyIdentity, type KeyOwner, withRoot } from './key-schedule.js';
import { SUITES, type Suite, type SuiteKey } from './suites.js';

export type { KeyOwner } from './key-schedule.js';

/** What a data key is made of. */
interface Parts extends KeyIdentity {
  readonly delivery: Delivery;
  readonly header: Buffer;
  readonly suites: ReadonlyMap<Suite, SuiteKey>;
}

/**
 * Kind `session` has no commitment: nothing is stored that it could be compared with. What vouches for a session key is
 * that HPKE opened it for its pair.
 */
const NO_COMMITMENT = Buffer.alloc(0);

/** Seals and opens cells. Its key bytes live inside cipher objects, never in a property, a string or JSON. */
export class DataKey implements KeyIdentity {
  /** UUID in lower case: the public name of the key, in every cell it sealed. Of a session key: that of its key pair. */
  readonly fingerprint: string;
  /** 32 bytes, public: compare it in constant time with what the key store holds. Empty for a session key. */
  readonly commitment: Buffer;
  /** How whoever opens its cells comes by the key. It opens cells of its fingerprint whatever their delivery is. */
  readonly delivery: Delivery;
  /** What the cells that it seals carry behind the fingerprint. Public; empty for pool delivery. */
  readonly header: Buffer;
  readonly #block = new Blocks(1);
  #suites: ReadonlyMap<Suite, SuiteKey> | undefined;

  private constructor({ fingerprint, commitment, delivery, header, suites }: Parts) {
    this.fingerprint = fingerprint;
    this.commitment = commitment;
    this.delivery = delivery;
    this.header = header;
    this.#block.bytes.set(fingerprintBytes(fingerprint));
    this.#suites = suites;
  }

  /**
   * The key of this root and owner. Takes the root over and wipes it, also when it throws.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; ConfigError `ERR_CONFIG_FIELD`
   */
  static derive(root: Buffer, owner: KeyOwner): DataKey {
    return DataKey.#ofKindData(root, owner, { delivery: 'pool' });
  }

  /**
   * The same key, for cells that carry its root with them, wrapped. Takes the root over and wipes it, also when it throws.
   * @param wrap The root under a KEK. That it is this root's is not looked at.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; FormatError `ERR_FORMAT_CELL` when the wrap
   * does not fit into a cell; ConfigError `ERR_CONFIG_FIELD`
   */
  static deriveEnvelope(root: Buffer, owner: KeyOwner, { kekRef, wrapped }: EnvelopeParts): DataKey {
    return DataKey.#ofKindData(root, owner, { delivery: 'envelope', kekRef, wrapped });
  }

  /**
   * A session key, for cells that carry it with them, sealed to a key pair. Takes the root over and wipes it, also when
   * it throws. `sealSession` and `openSession` make the parts fit each other.
   * @param fingerprint Of the key pair.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; FormatError `ERR_FORMAT_CELL` when a part has
   * not its size; ConfigError `ERR_CONFIG_FIELD`
   */
  static deriveSession(
    root: Buffer,
    owner: KeyOwner,
    fingerprint: string,
    { encapsulated, sessionKey }: SealedParts,
  ): DataKey {
    return withRoot(root, 'session', owner, (derive) => {
      const delivery = 'sealed';
      const header = encodeHeader({ delivery, encapsulated, sessionKey });
      const suites = suiteKeys(derive, fingerprint);
      return new DataKey({ fingerprint, commitment: NO_COMMITMENT, delivery, header, suites });
    });
  }

  static #ofKindData(root: Buffer, owner: KeyOwner, of: DeliveryHeader): DataKey {
    return withRoot(root, 'data', owner, (derive) => {
      const header = encodeHeader(of);
      const identity = identify(derive);
      const suites = suiteKeys(derive, identity.fingerprint);
      return new DataKey({ ...identity, delivery: of.delivery, header, suites });
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

  /** The 16 bytes of the fingerprint, as cells begin with them. */
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

/** No output of the key schedule serves two suites. */
function suiteKeys(derive: Derive, fingerprint: string): ReadonlyMap<Suite, SuiteKey> {
  return new Map(
    SUITES.map((entry) => [entry.suite, entry.key(derive(entry.label, entry.keyBytes), fingerprint)]),
  );
}

/** What every use of a closed key throws. */
export function closedKey(fingerprint: string): KeyError {
  return new KeyError(
    'ERR_KEY_CLOSED',
    `Key ${fingerprint} is closed: expected a key that is still held, got one that was dropped; load it again.`,
  );
}
