/** The keys of this process that open and index: everything that a write-only process has not. */
import type { PrivateKey } from '../cell/key-pair.js';
import { EnvelopeKeys } from './envelope-keys.js';
import type { FieldSealEvent } from './events.js';
import type { ParsedFieldSealOptions } from './field-seal-options.js';
import { HeldKeys } from './held-keys.js';
import { IndexKeys } from './index-keys.js';
import { Keyring } from './keyring.js';
import type { Pool } from './pool.js';
import { SessionKeys } from './session-keys.js';

export interface ReadingKeysOptions extends ParsedFieldSealOptions {
  readonly emit: (event: FieldSealEvent) => void;
}

export class ReadingKeys {
  /** Data keys, of pools and of envelopes. */
  readonly held: HeldKeys;
  /** Keys of pools, by fingerprint. */
  readonly keyring: Keyring;
  /** Keys that cells carry wrapped. */
  readonly envelopes: EnvelopeKeys;
  /** Keys that cells carry sealed to a pair. */
  readonly sessions: SessionKeys;
  readonly indexKeys: IndexKeys;
  readonly #privateKeys: Keyring<PrivateKey>;
  readonly #heldPairs: HeldKeys<PrivateKey>;
  readonly #heldSessions: HeldKeys;

  /** @param poolOf Keys of a pool open as well, and do not live here. */
  constructor(options: ReadingKeysOptions, poolOf: (purpose: string) => Pool | undefined) {
    const { application, environment, policies, source, clock, keyringMax: max, emit } = options;
    const owner = { application, environment, clock };
    this.held = new HeldKeys({ ...owner, kind: 'data', max });
    this.#heldPairs = new HeldKeys({ ...owner, kind: 'pair', max });
    this.#heldSessions = new HeldKeys({ ...owner, kind: 'session', max });
    const load: typeof source.load = (...asked) => source.load(...asked);
    const common = { ...owner, policies, load };
    this.keyring = Keyring.ofDataKeys({
      ...common,
      held: this.held,
      elsewhere: (purpose, fingerprint) => poolOf(purpose)?.find(fingerprint),
    });
    this.#privateKeys = Keyring.ofPrivateKeys({ ...common, held: this.#heldPairs });
    this.envelopes = new EnvelopeKeys({
      ...{ application, policies, clock, emit, held: this.held },
      unwrap: (purpose, kekRef, wrapped) => source.openEnvelopeKey(purpose, kekRef, wrapped),
    });
    this.sessions = new SessionKeys({
      ...{ ...owner, policies, privateKeys: this.#privateKeys, held: this.#heldSessions },
    });
    this.indexKeys = new IndexKeys({ application, clock, load: (purpose) => source.indexKeys(purpose) });
  }

  /** Keys that were unwrapped for opening so far; a session key is not unwrapped by anybody. */
  get unwraps(): number {
    return this.keyring.unwraps + this.envelopes.unwraps + this.#privateKeys.unwraps;
  }

  /** Keys held, those of index and pools aside. */
  get size(): number {
    return this.#allHeld.reduce((size, held) => size + held.size, 0);
  }

  /** No page gets these keys from now on, nor those of them that are being loaded. */
  revoke(fingerprints: readonly string[]): void {
    this.keyring.revoke(fingerprints);
    this.#privateKeys.revoke(fingerprints);
    for (const held of this.#allHeld) held.revoke(fingerprints);
    this.indexKeys.revoke(fingerprints);
  }

  fingerprints(purpose: string): readonly string[] {
    const held = this.#allHeld.flatMap((keys) => keys.fingerprints(purpose));
    return [...held, ...this.indexKeys.fingerprints(purpose)];
  }

  close(): void {
    this.keyring.close();
    this.#privateKeys.close();
    this.envelopes.close();
    this.sessions.close();
    for (const held of this.#allHeld) held.close();
    this.indexKeys.close();
  }

  get #allHeld(): readonly (HeldKeys | HeldKeys<PrivateKey>)[] {
    return [this.held, this.#heldPairs, this.#heldSessions];
  }
}
