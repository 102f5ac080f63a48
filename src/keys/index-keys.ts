/** The blind index keys of all purposes, held from start to close. */
import { blindIndexes } from '../cell/blind-index.js';
import type { IndexKey } from '../cell/index-key.js';
import { KeyError } from '../errors.js';
import { admitIndexKey, refuseKey } from './admit.js';
import { closedError } from './closed.js';
import { hasIndexKeys } from './delivery-options.js';
import type { IndexMaker } from './index-makers.js';
import type { Policy } from './policy.js';
import type { Clock, UnwrappedKey } from './ports.js';
import { answerOf, codedError } from './source-calls.js';

export interface IndexKeysOptions {
  readonly application: string;
  readonly clock: Clock;
  readonly load: (purpose: string) => Promise<readonly UnwrappedKey[] | undefined>;
}

export class IndexKeys {
  readonly #options: IndexKeysOptions;
  readonly #keys = new Map<string, readonly IndexKey[]>();
  readonly #revoked = new Set<string>();
  #closed = false;

  constructor(options: IndexKeysOptions) {
    this.#options = options;
  }

  /**
   * Fetches the keys of a purpose, in the order of the policy's versions.
   * @throws FieldSealError of the key source; KeyError `ERR_KEY_NOT_FOUND`, `ERR_KEY_COMMITMENT`, `ERR_CLOSED`.
   */
  async warm(policy: Policy): Promise<void> {
    if (!hasIndexKeys(policy.index)) return;
    const { clock, load } = this.#options;
    const what = `Index keys of purpose ${policy.purpose}`;
    const wipe = (keys: readonly UnwrappedKey[] | undefined): void => {
      keys?.forEach(refuseKey);
    };
    const unwrapped = await answerOf(clock, what, () => load(policy.purpose), wipe);
    // Without a key store there are none; a field that needs one is refused when it is attached.
    if (unwrapped === undefined) return;
    try {
      this.#keys.set(policy.purpose, this.#admitAll(policy, unwrapped));
    } catch (error) {
      throw codedError(what, error);
    }
  }

  /**
   * The first one writes, all are searched.
   * @throws KeyError `ERR_KEY_NOT_FOUND` where the purpose or the key source has no index keys; `ERR_CLOSED`.
   */
  of({ purpose }: Policy): readonly IndexMaker[] {
    if (this.#closed) throw closedError();
    const keys = this.#keys.get(purpose);
    if (keys === undefined) throw noIndexKeys(purpose);
    return keys.map((key) => (column, values) => blindIndexes(key, column, values));
  }

  /** Whether this process was given index keys for the purpose when it started. */
  has(purpose: string): boolean {
    return this.#keys.has(purpose);
  }

  /** Those that serve: a revoked one stays where it is to fail, and is held no more. */
  fingerprints(purpose: string): readonly string[] {
    const keys = this.#keys.get(purpose) ?? [];
    return keys.map((key) => key.fingerprint).filter((fingerprint) => !this.#revoked.has(fingerprint));
  }

  /** A revoked index key makes and finds no more index values: both throw `ERR_KEY_CLOSED`. */
  revoke(fingerprints: readonly string[]): void {
    for (const key of this.#all()) {
      if (!fingerprints.includes(key.fingerprint)) continue;
      key.close();
      this.#revoked.add(key.fingerprint);
    }
  }

  close(): void {
    this.#closed = true;
    for (const key of this.#all()) key.close();
  }

  #all(): IndexKey[] {
    return [...this.#keys.values()].flat();
  }

  #admitAll({ purpose, index }: Policy, unwrapped: readonly UnwrappedKey[]): readonly IndexKey[] {
    const keys: IndexKey[] = [];
    try {
      if (this.#closed) throw closedError();
      if (unwrapped.length !== index.versions.length)
        throw missing(purpose, index.versions, unwrapped.length);
      const owner = { application: this.#options.application, purpose };
      unwrapped.forEach((key, i) => keys.push(admitIndexKey(key, owner, index.versions[i]!)));
      return keys;
    } catch (error) {
      unwrapped.forEach(refuseKey);
      for (const key of keys) key.close();
      throw error;
    }
  }
}

function missing(purpose: string, versions: readonly number[], got: number): KeyError {
  return new KeyError(
    'ERR_KEY_NOT_FOUND',
    `Purpose ${purpose}: expected index keys of versions ${versions.join(', ')}, got ${got} keys. Have the key service ` +
      'make the missing versions, or correct index.versions.',
  );
}

function noIndexKeys(purpose: string): KeyError {
  return new KeyError(
    'ERR_KEY_NOT_FOUND',
    `Purpose ${purpose}: a blind index needs an index key, and this process has none; expected a source with a key ` +
      `store, such as keyStoreSource(…), and for envelope delivery purposes.${purpose}.index set to 'local' or 'later'; a KMS ` +
      "that makes the indexes (index: 'kms'); or a process that is write-only with index: 'later'.",
  );
}
