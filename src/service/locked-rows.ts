/** Changes to the rows of one scope while its lock is held: every write with its revision, MAC and event. */
import type { StoreKey } from '../cell/store-key.js';
import { KeyError, StoreError } from '../errors.js';
import type { KeyEvent, KeyRecord, LockedKeyStore } from '../keys/ports.js';
import { assertMove, type KeyState } from '../keys/states.js';
import type { EventChain, KeyMove } from './event-chain.js';
import { rowMac } from './row-mac.js';

/** Rows by fingerprint, and why the others were refused. */
export interface JudgedRows {
  readonly keys: ReadonlyMap<string, KeyRecord>;
  readonly refused: ReadonlyMap<string, StoreError>;
}

/** A row before it is written: the ledger counts its revision and makes its MAC. */
export type NewRow = Omit<KeyRecord, 'revision' | 'rowMac'>;
/** Who moves a key, when and why. */
export type MoveReason = Pick<KeyMove, 'at' | 'who' | 'why'>;

type RowChanges = Partial<Pick<KeyRecord, 'activates' | 'retires' | 'cells' | 'bytes' | 'prefixes'>>;

/** All rows of a scope while its lock is held. Changes are written at once, their events together at the end. */
export class LockedRows {
  readonly #store: LockedKeyStore;
  readonly #storeKey: StoreKey;
  readonly #rows: Map<string, KeyRecord>;
  readonly #events: KeyEvent[] = [];
  #chain: EventChain;
  readonly refused: ReadonlyMap<string, StoreError>;

  constructor(store: LockedKeyStore, storeKey: StoreKey, chain: EventChain, judged: JudgedRows) {
    this.#store = store;
    this.#storeKey = storeKey;
    this.#chain = chain;
    this.#rows = new Map(judged.keys);
    this.refused = judged.refused;
  }

  /** The rows that can be trusted, oldest first. */
  get keys(): readonly KeyRecord[] {
    return [...this.#rows.values()];
  }

  get chain(): EventChain {
    return this.#chain;
  }

  /** The moves made under this lock so far. */
  get moves(): readonly KeyEvent[] {
    return this.#events;
  }

  /** What the clock of the key store says, ms; undefined where it has none. One query. */
  now(): Promise<number | undefined> {
    return this.#store.now();
  }

  /** The row as it is now, after all changes under this lock. */
  find(fingerprint: string): KeyRecord | undefined {
    return this.#rows.get(fingerprint);
  }

  /** @throws KeyError `ERR_KEY_MOVE`; StoreError `ERR_STORE_REVISION` when the store has such a key already. */
  async insert(row: NewRow, by: MoveReason): Promise<void> {
    assertMove(null, row.state);
    const record = this.#signed({ ...row, revision: 1 });
    if (!(await this.#store.insert(record))) throw refusedWrite(record, 'a key like it exists already');
    this.#rows.set(record.fingerprint, record);
    this.#note({ ...by, fingerprint: row.fingerprint, from: null, to: row.state });
  }

  /**
   * Moves a key to another state, with an event.
   * @throws KeyError `ERR_KEY_MOVE`, `ERR_KEY_NOT_FOUND`; StoreError `ERR_STORE_REVISION`.
   */
  async move(fingerprint: string, to: KeyState, by: MoveReason, changes: RowChanges = {}): Promise<void> {
    const row = this.#get(fingerprint);
    assertMove(row.state, to, row.stateBefore);
    const stateBefore = to === 'SUSPENDED' ? row.state : null;
    await this.#write({ ...row, ...changes, state: to, stateBefore });
    this.#note({ ...by, fingerprint, from: row.state, to });
  }

  /** Changes counters or dates of a key without moving it. @throws as {@link move}. */
  async update(fingerprint: string, changes: RowChanges): Promise<void> {
    await this.#write({ ...this.#get(fingerprint), ...changes });
  }

  /** Writes the events of all moves; the ledger calls it last. */
  async appendEvents(): Promise<void> {
    if (this.#events.length > 0) await this.#store.append(this.#events);
  }

  async #write(row: KeyRecord): Promise<void> {
    const record = this.#signed({ ...row, revision: row.revision + 1 });
    if (!(await this.#store.update(record, this.#get(row.fingerprint).state)))
      throw refusedWrite(record, 'its row has another revision or state by now');
    this.#rows.set(record.fingerprint, record);
  }

  #note(move: KeyMove): void {
    const { chain, event } = this.#chain.append(this.#storeKey, move);
    this.#chain = chain;
    this.#events.push(event);
  }

  #signed(row: Omit<KeyRecord, 'rowMac'>): KeyRecord {
    return { ...row, rowMac: rowMac(this.#storeKey, row) };
  }

  #get(fingerprint: string): KeyRecord {
    const row = this.#rows.get(fingerprint);
    if (row !== undefined) return row;
    throw new KeyError(
      'ERR_KEY_NOT_FOUND',
      `Key ${fingerprint}: no trusted row in the key store; nothing was written.`,
    );
  }
}

function refusedWrite(record: KeyRecord, what: string): StoreError {
  return new StoreError(
    'ERR_STORE_REVISION',
    `Key ${record.fingerprint} (${record.kind}, revision ${record.revision}): ${what}; nothing was written. Something writes to the key store without its lock.`,
  );
}
