/** The keys that one page is using, and what became of those it cannot have. */
import type { DataKey } from '../cell/data-key.js';
import type { FieldSealError } from '../errors.js';
import type { HeldKey } from './held-key.js';

export class KeyLease {
  readonly #held = new Map<string, HeldKey>();
  /** Pages without an error make no map. */
  #errors: Map<string, FieldSealError> | undefined;

  /** Takes over one lease of the key. */
  take(held: HeldKey): void {
    this.#held.set(held.fingerprint, held);
  }

  refuse(fingerprint: string, error: FieldSealError): void {
    this.#errors ??= new Map();
    this.#errors.set(fingerprint, error);
  }

  /** Whether it is known what became of the key. */
  has(fingerprint: string): boolean {
    return this.#held.has(fingerprint) || this.#errors?.has(fingerprint) === true;
  }

  key(fingerprint: string): DataKey | undefined {
    return this.#held.get(fingerprint)?.key;
  }

  /** Why there is no key with this fingerprint. */
  error(fingerprint: string): FieldSealError | undefined {
    return this.#errors?.get(fingerprint);
  }

  release(): void {
    for (const held of this.#held.values()) held.release();
    this.#held.clear();
  }
}
