/** Session keys that sealed cells carry, opened with the private half of their pair. */
import { createHash } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import type { CellGroup } from '../cell/cell-groups.js';
import type { SealedParts } from '../cell/delivery-header.js';
import type { PrivateKey } from '../cell/key-pair.js';
import { openSession } from '../cell/session-key.js';
import { KeyError, OpenError, type FieldSealError } from '../errors.js';
import { closedError } from './closed.js';
import { HeldKey } from './held-key.js';
import type { HeldKeys } from './held-keys.js';
import type { Keyring, Leased } from './keyring.js';
import type { Policy } from './policy.js';
import type { Clock } from './ports.js';
import { whenReady, type Ready } from './ready.js';
import { refusals } from './refusals.js';
import { inSlices } from './slices.js';

/** For how long a header that does not open is known as such, in ms; it will not open later either. */
const REFUSED_MS = 600_000;

/** What a sealed cell says of its key; nothing of it is authenticated before the session key is open. */
export interface SealedSession extends Pick<CellGroup<never>, 'purpose' | 'fingerprint'>, SealedParts {
  /** Delivery header as it stands in the cell. */
  readonly header: Uint8Array;
}

export interface SessionKeysOptions {
  readonly application: string;
  readonly environment: string;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly clock: Clock;
  readonly privateKeys: Pick<Keyring<PrivateKey>, 'lease'>;
  /** A place of their own: whoever writes rows decides how many there are, and would push other keys out. */
  readonly held: HeldKeys;
}

/**
 * Found by all that was asked, header and fingerprint alike. A session key lives as long as the private key that opened
 * it, and goes with it when the pair is revoked, since it has the fingerprint of the pair.
 */
export class SessionKeys {
  readonly #options: SessionKeysOptions;
  readonly #refused: LRUCache<string, FieldSealError>;

  constructor(options: SessionKeysOptions) {
    this.#options = options;
    this.#refused = refusals(options.clock, REFUSED_MS);
  }

  /** For one page, which may have so many session keys opened as the policy of each purpose says. */
  beginPage(): (session: SealedSession) => Ready<Leased> {
    const asked = new Map<string, number>();
    const beyond = new Map<string, KeyError>();
    return (session) => {
      const { purpose, fingerprint } = session;
      const pair = `${purpose} ${fingerprint}`;
      const name = nameIn(session);
      const known = this.#find(purpose, name);
      if (known !== undefined) return known;
      const before = asked.get(purpose) ?? 0;
      const limit = this.#options.policies.get(purpose)!.sealed.sessionsPerPage;
      if (before >= limit) {
        // One error for all such cells of a pair: making one takes longer than looking for a key.
        const error = beyond.get(pair) ?? tooMany(session, limit);
        beyond.set(pair, error);
        return error;
      }
      asked.set(purpose, before + 1);
      const leased = this.#options.privateKeys.lease(purpose, fingerprint);
      return whenReady(leased, (key) =>
        key instanceof HeldKey ? inSlices(() => this.#open(session, name, key)) : key,
      );
    };
  }

  close(): void {
    this.#refused.clear();
  }

  /** Leased. */
  #find(purpose: string, name: string): Leased | undefined {
    const { held } = this.#options;
    const session = held.find('sealed', purpose, name);
    if (session === undefined) return held.closed ? closedError() : this.#refused.get(`${purpose} ${name}`);
    session.lease();
    return session;
  }

  /** With a lease of the private key, which ends here. Another page may have been first while the key was loaded. */
  #open(session: SealedSession, name: string, privateKey: HeldKey<PrivateKey>): Leased {
    const { purpose } = session;
    try {
      return this.#find(purpose, name) ?? this.#opened(session, name, privateKey);
    } finally {
      privateKey.release();
    }
  }

  #opened(session: SealedSession, name: string, privateKey: HeldKey<PrivateKey>): Leased {
    const { application, held } = this.#options;
    const { purpose } = session;
    const key = openSession(privateKey.key, { application, purpose }, session);
    if (key === undefined) {
      const error = doesNotOpen(session);
      this.#refused.set(`${purpose} ${name}`, error);
      return error;
    }
    const opened = new HeldKey(purpose, key, privateKey.opensUntil);
    // Leased before it is kept: a page with more keys than there is room evicts its own first ones.
    opened.lease();
    // A pair that was revoked since its key was leased leaves no session behind.
    if (privateKey.dropped) opened.drop();
    else held.keep('sealed', opened, name);
    return opened;
  }
}

/** SHA-256 of fingerprint and header: the same header under another pair is another question. */
function nameIn({ fingerprint, header }: SealedSession): string {
  return createHash('sha256').update(`${fingerprint} `).update(header).digest('base64');
}

function tooMany({ purpose, fingerprint }: SealedSession, limit: number): KeyError {
  return new KeyError(
    'ERR_KEY_UNAVAILABLE',
    `Session key under key pair ${fingerprint} of purpose ${purpose}: expected at most ${limit} session keys to open in ` +
      'one page, got more; read fewer rows at once, or raise delivery.sealed.sessionsPerPage of the purpose.',
  );
}

/** The same code as for a cell that does not verify: with the key at hand there is one failure. */
function doesNotOpen({ purpose, fingerprint }: SealedSession): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `Cells of purpose ${purpose}: expected a session key that was sealed to key pair ${fingerprint} for this application, ` +
      'environment and purpose, got one that does not open; the cell was changed, or sealed for another of these.',
  );
}
