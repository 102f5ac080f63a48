/** HMAC-SHA-256 under a key that never leaves its object. */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { closedKey } from './data-key.js';

export class MacKey {
  readonly #fingerprint: string;
  #key: KeyObject | undefined;

  /** The bytes are copied; the caller wipes them. */
  constructor(keyBytes: Buffer, fingerprint: string) {
    this.#fingerprint = fingerprint;
    this.#key = createSecretKey(keyBytes);
  }

  /**
   * HMAC-SHA-256 of the parts one after another, 32 bytes.
   * @throws KeyError `ERR_KEY_CLOSED`
   */
  mac(...parts: readonly Uint8Array[]): Buffer {
    if (!this.#key) throw closedKey(this.#fingerprint);
    const hmac = createHmac('sha256', this.#key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }

  close(): void {
    this.#key = undefined;
  }
}
