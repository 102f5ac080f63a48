/**
 * The key-store rows of one scope that can be trusted: genuine by their MAC, in the state that their last event says,
 * and not older than what this process has seen before.
 */
import type { StoreKey } from '../cell/store-key.js';
import { StoreError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type { KeyEvent, KeyReader, KeyRecord, KeyScope, KeyStore, LockedKeyStore } from '../keys/ports.js';
import { EventChain } from './event-chain.js';
import { type JudgedRows, LockedRows } from './locked-rows.js';
import { rowIsGenuine } from './row-mac.js';
import { nameOf } from './scope-desk.js';

/** What was done under the lock of a scope, and the rows as they are now. */
export interface Changed<T> {
  readonly rows: LockedRows;
  readonly result: T;
}

/** What was known of a scope at some time. */
interface Seen {
  readonly chain: EventChain;
  /** Highest revision of each row. */
  readonly revisions: ReadonlyMap<string, number>;
}

/** Safe to use concurrently. Owns the store key. */
export class ScopeLedger {
  readonly scope: KeyScope;
  readonly #storeKey: StoreKey;
  #chain: EventChain;
  /** Highest revision seen of each row. */
  readonly #revisions = new Map<string, number>();

  constructor(scope: KeyScope, storeKey: StoreKey) {
    this.scope = scope;
    this.#storeKey = storeKey;
    this.#chain = new EventChain(scope);
  }

  /**
   * The rows that `query` finds; `expected` fingerprints without a row are refused where events tell of them, and are in
   * neither list where none does. One query, and where a row is missing or not as it was: the new events, then both once more as they are at one moment,
   * since a row and its events are not read at the same moment.
   * @throws StoreError `ERR_STORE_EVENTS`, and what the store throws.
   */
  async read(
    store: KeyStore,
    query: (reader: KeyReader) => Promise<readonly KeyRecord[]>,
    expected: readonly string[] = [],
  ): Promise<JudgedRows> {
    const rows = await query(store);
    const known = this.#judge(rows, expected);
    if (isCertain(known) && expected.every((one) => known.keys.has(one) || known.refused.has(one)))
      return known;
    try {
      await this.catchUp(store);
      const caughtUp = this.#judge(rows, expected);
      if (isCertain(caughtUp)) return caughtUp;
    } catch {
      // What is wrong with the events is found again below, where a copy that lies behind is told apart.
    }
    return this.#readMoment(store, query, () => expected);
  }

  /**
   * Runs `work` on all rows of the scope, under its lock; what it changed is remembered when the store has kept it.
   * @throws StoreError `ERR_STORE_EVENTS` before anything is written, and what the store and `work` throw.
   */
  async change<T>(store: KeyStore, work: (rows: LockedRows) => Promise<T>): Promise<Changed<T>> {
    const changed = await store.withLock(this.scope, async (locked) =>
      this.#work(locked, await this.#judgeAll(locked), work),
    );
    this.adopt(changed.rows);
    return changed;
  }

  /**
   * The first change of a scope without rows and events, within a lock that is held already; the caller
   * {@link adopt}s the rows after the commit.
   */
  async begin<T>(locked: LockedKeyStore, work: (rows: LockedRows) => Promise<T>): Promise<Changed<T>> {
    return this.#work(locked, { keys: new Map(), refused: new Map() }, work);
  }

  /** Remembers what a committed transaction wrote. */
  adopt(rows: LockedRows): void {
    if (rows.chain.seq > this.#chain.seq) this.#chain = rows.chain;
    for (const row of rows.keys) this.#saw(row);
  }

  /** All rows of the scope, at one moment. @throws as {@link read}. */
  async readAll(store: KeyStore): Promise<JudgedRows> {
    const judged = await this.#readMoment(
      store,
      (moment) => moment.list(this.scope),
      (chain) => [...chain.fingerprints()],
    );
    throwEventsGone(judged);
    return judged;
  }

  /** Reads the events since the last time and verifies them; the first time, the whole chain. One query. */
  async catchUp(reader: KeyReader): Promise<void> {
    const from = this.#chain;
    const chain = from.extend(this.#storeKey, await reader.events(this.scope, from.readFrom));
    if (chain.seq > this.#chain.seq) this.#chain = chain;
  }

  close(): void {
    this.#storeKey.close();
  }

  async #work<T>(
    locked: LockedKeyStore,
    judged: JudgedRows,
    work: (rows: LockedRows) => Promise<T>,
  ): Promise<Changed<T>> {
    const rows = new LockedRows(locked, this.#storeKey, this.#chain, judged);
    const result = await work(rows);
    await rows.appendEvents();
    return { rows, result };
  }

  /** Genuine rows that no event tells of mean that events were deleted, and nothing may be written. */
  async #judgeAll(locked: LockedKeyStore): Promise<JudgedRows> {
    await this.catchUp(locked);
    const judged = this.#judge(await locked.list(this.scope), [...this.#chain.fingerprints()]);
    throwEventsGone(judged);
    return judged;
  }

  /**
   * Judged by what was known when it was asked for: of two readings at once the older one may come in last. On a copy a
   * reading that lies behind is none, and it says nothing of who changed what.
   */
  async #readMoment(
    store: KeyStore,
    query: (reader: KeyReader) => Promise<readonly KeyRecord[]>,
    expected: (chain: EventChain) => readonly string[],
  ): Promise<JudgedRows> {
    const seen: Seen = { chain: this.#chain, revisions: new Map(this.#revisions) };
    return store.atOneMoment(async (moment) => {
      const events = await moment.events(this.scope, seen.chain.readFrom);
      const rows = await query(moment);
      if (moment.mayLag && isBehind(seen, events, rows)) throw lagging(this.scope);
      const chain = seen.chain.extend(this.#storeKey, events);
      if (chain.seq > this.#chain.seq) this.#chain = chain;
      return this.#judge(rows, expected(chain), { ...seen, chain });
    });
  }

  #judge(rows: readonly KeyRecord[], expected: readonly string[], seen: Seen = this.#seen): JudgedRows {
    const keys = new Map<string, KeyRecord>();
    const refused = new Map<string, StoreError>();
    for (const row of rows) {
      const error = this.#refusal(row, seen);
      if (error === undefined) keys.set(row.fingerprint, row);
      else refused.set(row.fingerprint, error);
    }
    for (const fingerprint of expected) {
      if (keys.has(fingerprint) || refused.has(fingerprint) || seen.chain.state(fingerprint) === undefined)
        continue;
      refused.set(fingerprint, rolledBack(fingerprint, 'key_events tells of it, but its row is gone'));
    }
    for (const row of keys.values()) this.#saw(row);
    return { keys, refused };
  }

  get #seen(): Seen {
    return { chain: this.#chain, revisions: this.#revisions };
  }

  #refusal(row: KeyRecord, { chain, revisions }: Seen): StoreError | undefined {
    if (!isOfScope(row, this.scope) || !rowIsGenuine(this.#storeKey, row)) {
      return new StoreError(
        'ERR_STORE_ROW_MAC',
        `Key ${row.fingerprint}: its row in the key store was changed by somebody without the store key (the row MAC does not fit). It neither seals nor opens; put the row back from a backup of the key store and find out who wrote it.`,
      );
    }
    const seen = revisions.get(row.fingerprint) ?? 0;
    if (row.revision < seen) {
      return rolledBack(
        row.fingerprint,
        `its row has revision ${row.revision}, revision ${seen} was seen before`,
      );
    }
    const state = chain.state(row.fingerprint);
    if (state === undefined) return eventsGone(row);
    if (row.state === state) return undefined;
    return rolledBack(row.fingerprint, `its row says ${row.state}, its last event ${state}`);
  }

  #saw(row: KeyRecord): void {
    const seen = this.#revisions.get(row.fingerprint) ?? 0;
    if (row.revision > seen) this.#revisions.set(row.fingerprint, row.revision);
  }
}

/** An alarm for every row that was refused. */
export function alarmRefused(
  { emit }: { readonly emit: (event: FieldSealEvent) => void },
  { refused }: Pick<JudgedRows, 'refused'>,
): void {
  for (const [fingerprint, { code, message }] of refused) emit({ type: 'alarm', code, message, fingerprint });
}

/** Whether nothing was refused but rows whose MAC is wrong, which reading again would not change. */
function isCertain(judged: JudgedRows): boolean {
  return [...judged.refused.values()].every((error) => error.code === 'ERR_STORE_ROW_MAC');
}

/** The events from the head on, which is among them unless they are older. */
function isBehind(
  { chain, revisions }: Seen,
  events: readonly KeyEvent[],
  rows: readonly KeyRecord[],
): boolean {
  const isOlder = ({ fingerprint, revision }: KeyRecord): boolean =>
    revision < (revisions.get(fingerprint) ?? 0);
  return (chain.seq > 0 && events.length === 0) || rows.some(isOlder);
}

function throwEventsGone({ refused }: JudgedRows): void {
  for (const error of refused.values()) if (error.code === 'ERR_STORE_EVENTS') throw error;
}

function lagging(scope: KeyScope): StoreError {
  return new StoreError(
    'ERR_STORE_UNAVAILABLE',
    `Key store of ${nameOf(scope)}: this hot standby lies behind what this process has seen before; nothing of it is used. It catches up; where it does not, see its replication, or find out who put an older one in its place.`,
  );
}

function rolledBack(fingerprint: string, what: string): StoreError {
  return new StoreError(
    'ERR_STORE_REVISION',
    `Key ${fingerprint}: ${what}. The row was deleted or an older one put back; it neither seals nor opens. Put the newest row back from a backup of the key store.`,
  );
}

function eventsGone({ fingerprint }: KeyRecord): StoreError {
  return new StoreError(
    'ERR_STORE_EVENTS',
    `Key ${fingerprint}: key_events does not tell of it. Events were deleted; put them back from a backup of the key store before anything is written.`,
  );
}

function isOfScope(row: KeyRecord, scope: KeyScope): boolean {
  return (
    row.application === scope.application &&
    row.environment === scope.environment &&
    row.purpose === scope.purpose
  );
}
