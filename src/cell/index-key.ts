/** The key of blind indexes: its own root in the key store, since DEKs rotate and index values must not. */
import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import { identify, type KeyIdentity, type KeyOwner, withRoot } from './key-schedule.js';
import { MacKey } from './mac-key.js';

const INDEX_KEY_BYTES = 32;
/** The version is one byte of what is indexed. */
const MAX_VERSION = 255;

export class IndexKey implements KeyIdentity {
  readonly fingerprint: string;
  /** 32 bytes, public: compare it in constant time with what the key store holds. */
  readonly commitment: Buffer;
  /** 1 to 255, part of every index value. */
  readonly version: number;
  readonly #mac: MacKey;

  private constructor(identity: KeyIdentity, version: number, mac: MacKey) {
    this.fingerprint = identity.fingerprint;
    this.commitment = identity.commitment;
    this.version = version;
    this.#mac = mac;
  }

  /**
   * The index key of this root and owner. Takes the root over and wipes it, also when it throws.
   * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; ConfigError `ERR_CONFIG_OPTION` when the
   * version is not 1 to 255, `ERR_CONFIG_FIELD`
   */
  static derive(root: Buffer, owner: KeyOwner, version: number): IndexKey {
    return withRoot(root, 'index', owner, (derive) => {
      if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION) {
        const where = `Index key of ${owner.application}/${owner.purpose}`;
        throw new ConfigError(
          'ERR_CONFIG_OPTION',
          `${where}: expected a version of 1 to ${MAX_VERSION}, got ${version}.`,
        );
      }
      const identity = identify(derive);
      return new IndexKey(
        identity,
        version,
        new MacKey(derive('index', INDEX_KEY_BYTES), identity.fingerprint),
      );
    });
  }

  /**
   * HMAC-SHA-256 of the parts one after another, 32 bytes. For `blindIndexes` only.
   * @throws KeyError `ERR_KEY_CLOSED`
   */
  mac(...parts: readonly Uint8Array[]): Buffer {
    return this.#mac.mac(...parts);
  }

  /** Forgets the key. Every use afterwards throws. */
  close(): void {
    this.#mac.close();
  }

  toString(): string {
    return `[IndexKey ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
