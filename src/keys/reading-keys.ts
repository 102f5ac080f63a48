/** The keys of this process that open and index: everything that a write-only process has not. */
import { EnvelopeKeys } from './envelope-keys.js';
import type { FieldSealEvent } from './events.js';
import type { ParsedFieldSealOptions } from './field-seal-options.js';
import { HeldKeys } from './held-keys.js';
import { IndexKeys } from './index-keys.js';
import { Keyring } from './keyring.js';
import type { Pool } from './pool.js';

export interface ReadingKeysOptions extends ParsedFieldSealOptions {
  readonly emit: (event: FieldSealEvent) => void;
}

export class ReadingKeys {
  readonly held: HeldKeys;
  /** Keys of pools, by fingerprint. */
  readonly keyring: Keyring;
  /** Keys that cells carry. */
  readonly envelopes: EnvelopeKeys;
  readonly indexKeys: IndexKeys;

  /** @param poolOf Keys of a pool open as well, and do not live here. */
  constructor(options: ReadingKeysOptions, poolOf: (purpose: string) => Pool | undefined) {
    const { application, environment, policies, source, clock, keyringMax, emit } = options;
    this.held = new HeldKeys({ application, environment, clock, max: keyringMax });
    const common = { application, policies, clock, held: this.held };
    this.keyring = new Keyring({
      ...common,
      load: (purpose, fingerprints) => source.load(purpose, fingerprints),
      inPool: (purpose, fingerprint) => poolOf(purpose)?.find(fingerprint),
    });
    this.envelopes = new EnvelopeKeys({
      ...common,
      emit,
      unwrap: (purpose, kekRef, wrapped) => source.openEnvelopeKey(purpose, kekRef, wrapped),
    });
    this.indexKeys = new IndexKeys({ application, clock, load: (purpose) => source.indexKeys(purpose) });
  }

  /** Keys that were unwrapped for opening so far. */
  get unwraps(): number {
    return this.keyring.unwraps + this.envelopes.unwraps;
  }

  /** No page gets these keys from now on, nor those of them that are being loaded. */
  revoke(fingerprints: readonly string[]): void {
    this.keyring.revoke(fingerprints);
    this.held.revoke(fingerprints);
    this.indexKeys.revoke(fingerprints);
  }

  fingerprints(purpose: string): readonly string[] {
    return [...this.held.fingerprints(purpose), ...this.indexKeys.fingerprints(purpose)];
  }

  close(): void {
    this.keyring.close();
    this.envelopes.close();
    this.held.close();
    this.indexKeys.close();
  }
}
