/**
 * The hash chain of key events of one scope: verified from its start, extended move by move. It remembers the state
 * that every key should be in, which shows rows that were put back or deleted.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { StoreKey } from '../cell/store-key.js';
import { StoreError } from '../errors.js';
import type { KeyEvent, KeyScope } from '../keys/ports.js';
import type { KeyState } from '../keys/states.js';
import { canonicalBytes } from './canonical-encoding.js';

/** A move on its way into the chain. */
export type KeyMove = Pick<KeyEvent, 'at' | 'who' | 'fingerprint' | 'from' | 'to' | 'why'>;

const FIRST_PREVIOUS: Buffer = Buffer.alloc(32);

/** Immutable: extending gives a new chain, so a transaction that fails leaves the old one standing. */
export class EventChain {
  readonly #scope: KeyScope;
  readonly #states: ReadonlyMap<string, KeyState>;
  /** Sequence number of the newest event; 0 for an empty chain. */
  readonly seq: number;
  readonly #hash: Buffer;

  constructor(
    scope: KeyScope,
    states: ReadonlyMap<string, KeyState> = new Map(),
    seq = 0,
    hash: Buffer = FIRST_PREVIOUS,
  ) {
    this.#scope = scope;
    this.#states = states;
    this.seq = seq;
    this.#hash = hash;
  }

  /** The state that the key's last event moved it to; undefined for a key without events. */
  state(fingerprint: string): KeyState | undefined {
    return this.#states.get(fingerprint);
  }

  /** Every key that has events. */
  fingerprints(): Iterable<string> {
    return this.#states.keys();
  }

  /** Sequence number from which {@link extend} wants the stored events: the head is read again and compared. */
  get readFrom(): number {
    return Math.max(this.seq, 1);
  }

  /**
   * The chain with the stored events from {@link readFrom} on.
   * @throws StoreError `ERR_STORE_EVENTS` when the head is gone or another one, or an event does not continue it.
   */
  extend(key: StoreKey, stored: readonly KeyEvent[]): EventChain {
    const states = new Map(this.#states);
    let [seq, hash] = [this.seq, this.#hash];
    for (const event of this.#afterHead(key, stored)) {
      if (event.seq !== seq + 1) throw this.#broken(seq + 1, `the next event has number ${event.seq}`);
      if (!event.previous.equals(hash))
        throw this.#broken(event.seq, 'it does not continue the event before');
      if (!this.#isGenuine(key, event))
        throw this.#broken(event.seq, 'its hash or MAC is not that of its content');
      states.set(event.fingerprint, event.to);
      [seq, hash] = [event.seq, event.hash];
    }
    return new EventChain(this.#scope, states, seq, hash);
  }

  /** The next event, and the chain that ends with it. */
  append(key: StoreKey, move: KeyMove): { readonly chain: EventChain; readonly event: KeyEvent } {
    const content = { ...scopeOf(this.#scope), ...move, seq: this.seq + 1, previous: this.#hash };
    const hash = hashEvent(content);
    const states = new Map(this.#states).set(move.fingerprint, move.to);
    const chain = new EventChain(this.#scope, states, content.seq, hash);
    return { chain, event: { ...content, hash, mac: key.mac(hash) } };
  }

  #afterHead(key: StoreKey, stored: readonly KeyEvent[]): readonly KeyEvent[] {
    if (this.seq === 0) return stored;
    const [head, ...newer] = stored;
    const unchanged = head?.seq === this.seq && head.hash.equals(this.#hash) && this.#isGenuine(key, head);
    if (!unchanged) {
      throw this.#broken(this.seq, 'the newest event that this process knows is gone or another one');
    }
    return newer;
  }

  #isGenuine(key: StoreKey, event: KeyEvent): boolean {
    const hash = hashEvent({ ...event, ...scopeOf(this.#scope) });
    return same(event.hash, hash) && same(event.mac, key.mac(hash));
  }

  #broken(seq: number, what: string): StoreError {
    const { application, environment, purpose } = this.#scope;
    return new StoreError(
      'ERR_STORE_EVENTS',
      `Key events of ${application}/${environment}/${purpose}, event ${seq}: ${what}. Somebody changed key_events, or an older copy of the key store was put back; compare with its backup before anything is written.`,
    );
  }
}

/** SHA-256 of everything an event says, including the hash of the one before. */
function hashEvent(event: Omit<KeyEvent, 'hash' | 'mac'>): Buffer {
  const { application, environment, purpose, seq, at, who, fingerprint, from, to, why, previous } = event;
  const scope = [application, environment, purpose];
  const content = [seq, at, who, fingerprint, from, to, why, previous];
  const bytes = canonicalBytes('fieldseal/v1/event', [...scope, ...content]);
  return createHash('sha256').update(bytes).digest();
}

function scopeOf({ application, environment, purpose }: KeyScope): KeyScope {
  return { application, environment, purpose };
}

function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
