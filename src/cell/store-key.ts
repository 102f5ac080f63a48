/** The key that authenticates the rows and events of a key store. */
import { inspect } from 'node:util';
import { identify, type KeyIdentity, type KeyOwner, withRoot } from './key-schedule.js';
import { MacKey } from './mac-key.js';

const MAC_KEY_BYTES = 32;

export class StoreKey implements KeyIdentity {
  readonly fingerprint: string;
  /** 32 bytes, public: compare it in constant time with what the key store holds. */
  readonly commitment: Buffer;
  readonly #mac: MacKey;

  private constructor(identity: KeyIdentity, mac: MacKey) {
    this.fingerprint = identity.fingerprint;
    this.commitment = identity.commitment;
    this.#mac = mac;
  }

  /**
   * The store key of this root and owner. Takes the root over and wipes it, also when it throws.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; ConfigError `ERR_CONFIG_FIELD`
   */
  static derive(root: Buffer, owner: KeyOwner): StoreKey {
    return withRoot(root, 'store', owner, (derive) => {
      const identity = identify(derive);
      return new StoreKey(identity, new MacKey(derive('mac', MAC_KEY_BYTES), identity.fingerprint));
    });
  }

  /**
   * HMAC-SHA-256 of the message, 32 bytes.
   * @throws KeyError `ERR_KEY_CLOSED`
   */
  mac(message: Uint8Array): Buffer {
    return this.#mac.mac(message);
  }

  /** Forgets the key. Every use afterwards throws. */
  close(): void {
    this.#mac.close();
  }

  toString(): string {
    return `[StoreKey ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
