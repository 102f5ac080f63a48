/** Data keys that envelope cells carry, unwrapped for opening. */
import { createHash } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import type { CellGroup } from '../cell/cell-groups.js';
import { DataKey } from '../cell/data-key.js';
import { KeyError, type FieldSealError } from '../errors.js';
import { closedError } from './closed.js';
import { later, now } from './deadline.js';
import type { FieldSealEvent } from './events.js';
import { HeldKey } from './held-key.js';
import type { HeldKeys } from './held-keys.js';
import type { Leased } from './keyring.js';
import type { Policy } from './policy.js';
import type { Clock } from './ports.js';
import { isPending, type Ready } from './ready.js';
import { refusals } from './refusals.js';
import { answerOf, codedError } from './source-calls.js';

/** For how long a wrap that holds no key of its cell is known as such, in ms; it will hold none later either. */
const REFUSED_MS = 600_000;

/** What an envelope cell says of its key; nothing of it is authenticated before the key is there. */
export interface Envelope extends Pick<CellGroup<never>, 'purpose' | 'fingerprint'> {
  /** Delivery header as it stands in the cell. */
  readonly header: Uint8Array;
  readonly kekRef: Uint8Array;
  readonly wrapped: Uint8Array;
}

export interface EnvelopeKeysOptions {
  readonly application: string;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly held: HeldKeys;
  readonly clock: Clock;
  readonly unwrap: (purpose: string, kekRef: Uint8Array, wrapped: Uint8Array) => Promise<Buffer>;
  readonly emit: (event: FieldSealEvent) => void;
}

/** A wrap on its way. */
interface Flight {
  readonly outcome: Promise<Leased>;
  waiting: number;
}

/**
 * A key is unwrapped once however many cells and pages wait for it. What is kept is found by fingerprint, whichever wrap
 * it came with; what was refused, by all that was asked.
 */
export class EnvelopeKeys {
  readonly #options: EnvelopeKeysOptions;
  readonly #refused: LRUCache<string, FieldSealError>;
  readonly #flights = new Map<string, Flight>();
  #unwraps = 0;

  constructor(options: EnvelopeKeysOptions) {
    this.#options = options;
    this.#refused = refusals(options.clock, REFUSED_MS);
  }

  /** Roots that were unwrapped so far. */
  get unwraps(): number {
    return this.#unwraps;
  }

  /** For one page, which may have so many keys unwrapped as the policy of each purpose says. */
  beginPage(): (envelope: Envelope) => Ready<Leased> {
    const asked = new Map<string, number>();
    return (envelope) => {
      const { purpose } = envelope;
      const before = asked.get(purpose) ?? 0;
      const limit = this.#options.policies.get(purpose)!.envelope.unwrapsPerPage;
      const leased = this.#lease(envelope, before < limit);
      if (isPending(leased)) asked.set(purpose, before + 1);
      return leased;
    };
  }

  close(): void {
    this.#refused.clear();
  }

  /** To be released when the page is done. Never rejects. */
  #lease(envelope: Envelope, mayUnwrap: boolean): Ready<Leased> {
    const { purpose, fingerprint } = envelope;
    const held = this.#options.held.find('envelope', purpose, fingerprint);
    if (held !== undefined) {
      held.lease();
      return held;
    }
    if (this.#options.held.closed) return closedError();
    const id = idOf(envelope);
    const refused = this.#refused.get(id);
    if (refused !== undefined) return refused;
    const flight = this.#flights.get(id);
    if (flight !== undefined) {
      flight.waiting += 1;
      return flight.outcome;
    }
    return mayUnwrap ? this.#begin(id, envelope) : tooMany(envelope, this.#options.policies);
  }

  #begin(id: string, envelope: Envelope): Promise<Leased> {
    const flight: Flight = {
      waiting: 1,
      outcome: this.#unwrap(envelope).then(
        (held) => this.#admit(id, held),
        (error: unknown) => this.#refuse(id, envelope, codedError(nameOf(envelope), error)),
      ),
    };
    this.#flights.set(id, flight);
    return flight.outcome;
  }

  async #unwrap(envelope: Envelope): Promise<HeldKey> {
    const { purpose, fingerprint, kekRef, wrapped } = envelope;
    const { application, policies, clock, unwrap } = this.#options;
    const what = nameOf(envelope);
    const asked = now(clock);
    const root = await answerOf(
      clock,
      what,
      () => unwrap(purpose, kekRef, wrapped),
      (late) => late.fill(0),
    );
    const key = DataKey.deriveEnvelope(root, { application, purpose }, { kekRef, wrapped });
    this.#unwraps += 1;
    if (key.fingerprint === fingerprint)
      return new HeldKey(purpose, key, later(asked, policies.get(purpose)!.key.openCacheMs));
    key.close();
    throw anotherKey(what, key.fingerprint);
  }

  /** Leased for those who wait before it is kept: a page with more keys than there is room evicts its own first ones. */
  #admit(id: string, held: HeldKey): Leased {
    const { waiting } = this.#flights.get(id)!;
    this.#flights.delete(id);
    for (let i = 0; i < waiting; i++) held.lease();
    this.#options.held.keep('envelope', held);
    return held;
  }

  /** Trouble that passes is not remembered. */
  #refuse(id: string, { fingerprint }: Envelope, error: FieldSealError): FieldSealError {
    this.#flights.delete(id);
    const { code, message } = error;
    if (REMEMBERED.has(code)) this.#refused.set(id, error);
    if (code === 'ERR_KEY_COMMITMENT') this.#options.emit({ type: 'alarm', code, message, fingerprint });
    return error.retryable ? unavailable(error) : error;
  }
}

const REMEMBERED: ReadonlySet<string> = new Set(['ERR_KMS_WRAP_REFUSED', 'ERR_KEY_COMMITMENT']);

const nameOf = ({ purpose, fingerprint }: Envelope): string =>
  `Data key ${fingerprint} in envelope cells of purpose ${purpose}`;

/** All that was asked: the same wrap under another fingerprint is another question. */
function idOf({ purpose, fingerprint, header }: Envelope): string {
  return createHash('sha256').update(`${purpose} ${fingerprint} `).update(header).digest('base64');
}

function tooMany(envelope: Envelope, policies: ReadonlyMap<string, Policy>): KeyError {
  const { unwrapsPerPage } = policies.get(envelope.purpose)!.envelope;
  return new KeyError(
    'ERR_KEY_UNAVAILABLE',
    `${nameOf(envelope)}: expected at most ${unwrapsPerPage} keys to unwrap in one page, got more; read fewer rows at ` +
      'once, or raise delivery.envelope.unwrapsPerPage of the purpose.',
  );
}

function unavailable(cause: FieldSealError): FieldSealError {
  if (cause.code === 'ERR_KEY_UNAVAILABLE') return cause;
  return new KeyError('ERR_KEY_UNAVAILABLE', `The key cannot be unwrapped now; try again. ${cause.message}`, {
    cause,
  });
}

function anotherKey(what: string, got: string): KeyError {
  return new KeyError(
    'ERR_KEY_COMMITMENT',
    `${what}: its wrap holds another key (${got}). The cell was changed; compare its row with a backup.`,
  );
}
