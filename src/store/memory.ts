/** A key store in the memory of this process, for unit tests: nothing survives the process. */
import { isDate, isUint8Array } from 'node:util/types';
import { StoreError } from '../errors.js';
import type {
  KeyEvent,
  KeyFilter,
  KeyMoment,
  KeyReader,
  KeyRecord,
  KeyScope,
  KeyStore,
  LockedKeyStore,
  Wrap,
} from '../keys/ports.js';
import { stateRevokes, type KeyState } from '../keys/states.js';
import { LockGuard } from './lock-guard.js';
import { describeScope, isSameScope } from './scopes.js';

type RevocationListener = (fingerprints: readonly string[] | 'unknown') => void;

/**
 * A key store that behaves as the PostgreSQL one does (same conformance suite), without durability: locks, rollback
 * and revocation messages work among the users of this one object.
 */
export function memoryKeyStore(): KeyStore {
  return new MemoryKeyStore();
}

/** What is stored. Records and events are copied on their way in and out: nobody shares a Buffer with the store. */
class Content implements KeyReader {
  readonly keys: Map<string, KeyRecord>;
  readonly chain: KeyEvent[];

  constructor(keys: Iterable<readonly [string, KeyRecord]> = [], chain: readonly KeyEvent[] = []) {
    this.keys = new Map(keys);
    this.chain = [...chain];
  }

  list(scope: KeyScope, filter: KeyFilter = {}): Promise<KeyRecord[]> {
    const passes = ({ kind, state }: KeyRecord): boolean =>
      (filter.kinds?.includes(kind) ?? true) && (filter.states?.includes(state) ?? true);
    return Promise.resolve(this.#of(scope).filter(passes).sort(byAge).map(copyOf));
  }

  find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    const wanted = new Set(fingerprints);
    const found = this.#of(scope).filter(({ fingerprint }) => wanted.has(fingerprint));
    return Promise.resolve(found.map(copyOf));
  }

  events(scope: KeyScope, fromSeq = 1): Promise<KeyEvent[]> {
    const found = this.chain.filter((event) => isSameScope(event, scope) && event.seq >= fromSeq);
    return Promise.resolve(found.sort((a, b) => a.seq - b.seq).map(copyOf));
  }

  async lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    return (await this.events(scope)).at(-1);
  }

  now(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  #of(scope: KeyScope): KeyRecord[] {
    return [...this.keys.values()].filter((record) => isSameScope(record, scope));
  }
}

/** The content as the work under one lock sees it, and what that work wrote. */
class Draft implements LockedKeyStore {
  readonly written = new Map<string, KeyRecord>();
  readonly appended: KeyEvent[] = [];
  readonly #content: Content;

  constructor({ keys, chain }: Content) {
    this.#content = new Content(keys, chain);
  }

  list(scope: KeyScope, filter?: KeyFilter): Promise<KeyRecord[]> {
    return this.#content.list(scope, filter);
  }

  find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    return this.#content.find(scope, fingerprints);
  }

  events(scope: KeyScope, fromSeq?: number): Promise<KeyEvent[]> {
    return this.#content.events(scope, fromSeq);
  }

  lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    return this.#content.lastEvent(scope);
  }

  now(): Promise<undefined> {
    return this.#content.now();
  }

  insert(record: KeyRecord): Promise<boolean> {
    const taken = [...this.#content.keys.values()].some(
      (stored) => stored.fingerprint === record.fingerprint || isSameVersion(stored, record),
    );
    if (taken) return Promise.resolve(false);
    if (new Set(record.wraps.map(({ wrapId }) => wrapId)).size < record.wraps.length) {
      const what = `Key store, inserting wraps of key ${record.fingerprint}`;
      return Promise.reject(
        new StoreError('ERR_STORE_ROW', `${what}: expected different ids, got one twice.`),
      );
    }
    this.#write(record);
    return Promise.resolve(true);
  }

  update(record: KeyRecord, from: KeyState): Promise<boolean> {
    const stored = this.#content.keys.get(record.fingerprint);
    const fits =
      stored !== undefined &&
      isSameScope(stored, record) &&
      stored.revision === record.revision - 1 &&
      stored.state === from;
    if (fits) this.#write({ ...stored, ...mutablePart(record) });
    return Promise.resolve(fits);
  }

  append(events: readonly KeyEvent[]): Promise<void> {
    for (const event of events) {
      if (this.#content.chain.some(({ seq, ...scope }) => seq === event.seq && isSameScope(scope, event))) {
        const where = `Key store, events of ${describeScope(event)}`;
        return Promise.reject(
          new StoreError(
            'ERR_STORE_EVENTS',
            `${where}: expected a new number, got ${event.seq}, which is taken.`,
          ),
        );
      }
      const copy = copyOf(event);
      this.#content.chain.push(copy);
      this.appended.push(copy);
    }
    return Promise.resolve();
  }

  #write(record: KeyRecord): void {
    const copy = copyOf(record);
    this.#content.keys.set(record.fingerprint, copy);
    this.written.set(record.fingerprint, copy);
  }
}

class MemoryKeyStore implements KeyStore {
  readonly #content = new Content();
  readonly #locks = new Map<string, Promise<unknown>>();
  readonly #listeners = new Set<RevocationListener>();
  #closed = false;

  async start(): Promise<void> {
    await this.#open();
  }

  async list(scope: KeyScope, filter?: KeyFilter): Promise<KeyRecord[]> {
    return (await this.#open()).list(scope, filter);
  }

  async find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    return (await this.#open()).find(scope, fingerprints);
  }

  async events(scope: KeyScope, fromSeq?: number): Promise<KeyEvent[]> {
    return (await this.#open()).events(scope, fromSeq);
  }

  async lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    return (await this.#open()).lastEvent(scope);
  }

  async now(): Promise<undefined> {
    return (await this.#open()).now();
  }

  async atOneMoment<T>(work: (moment: KeyMoment) => Promise<T>): Promise<T> {
    const { keys, chain } = await this.#open();
    return work(Object.assign(new Content(keys, chain), { mayLag: false }));
  }

  async withLock<T>(scope: KeyScope, work: (locked: LockedKeyStore) => Promise<T>): Promise<T> {
    const name = describeScope(scope);
    const turn = (this.#locks.get(name) ?? Promise.resolve()).then(() => this.#run(scope, work));
    this.#locks.set(
      name,
      turn.catch(() => undefined),
    );
    return turn;
  }

  async watch(listener: RevocationListener): Promise<() => Promise<void>> {
    await this.#open();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      return Promise.resolve();
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    await Promise.all(this.#locks.values());
  }

  async #run<T>(scope: KeyScope, work: (locked: LockedKeyStore) => Promise<T>): Promise<T> {
    const draft = new Draft(await this.#open());
    const guard = new LockGuard(scope, draft);
    const result = await work(guard).catch(async (error: unknown) => {
      await guard.end().catch(() => undefined);
      throw error;
    });
    await guard.end();
    this.#commit(draft);
    return result;
  }

  /** Other scopes may have committed since the draft began, so only what the draft wrote is taken over. */
  #commit({ written, appended }: Draft): void {
    const { keys, chain } = this.#content;
    const revoked: string[] = [];
    for (const [fingerprint, record] of written) {
      if (stateRevokes(record.state) && keys.get(fingerprint)?.state !== record.state)
        revoked.push(fingerprint);
      keys.set(fingerprint, record);
    }
    chain.push(...appended);
    if (revoked.length > 0) for (const listener of this.#listeners) listener(revoked);
  }

  #open(): Promise<Content> {
    if (!this.#closed) return Promise.resolve(this.#content);
    return Promise.reject(new StoreError('ERR_STORE_CLOSED', 'The key store is closed; open a new one.'));
  }
}

/** Index and store keys are one per version; data keys are many. */
function isSameVersion(a: KeyRecord, b: KeyRecord): boolean {
  return (
    a.kind === b.kind &&
    a.version === b.version &&
    a.kind !== 'data' &&
    a.kind !== 'pair' &&
    isSameScope(a, b)
  );
}

function mutablePart(record: KeyRecord): Partial<KeyRecord> {
  const { state, stateBefore, publicKey, activates, retires, destroysAfter } = record;
  const { cells, bytes, prefixes, revision, rowMac } = record;
  return {
    state,
    stateBefore,
    publicKey,
    activates,
    retires,
    destroysAfter,
    cells,
    bytes,
    prefixes,
    revision,
    rowMac,
  };
}

function byAge(a: KeyRecord, b: KeyRecord): number {
  return a.created.getTime() - b.created.getTime() || (a.fingerprint < b.fingerprint ? -1 : 1);
}

/** A deep copy; wraps in the order in which a store gives them back. */
function copyOf<T extends KeyRecord | KeyEvent>(stored: T): T {
  const copies = Object.entries(stored).map(([name, value]: [string, unknown]) => [name, copyOfValue(value)]);
  return Object.fromEntries(copies) as T;
}

function copyOfValue(value: unknown): unknown {
  if (isUint8Array(value)) return Buffer.from(value);
  if (isDate(value)) return new Date(value);
  return Array.isArray(value) ? (value as Wrap[]).map(copyOfWrap).sort(byWrapAge) : value;
}

function copyOfWrap(wrap: Wrap): Wrap {
  return { ...wrap, wrapped: Buffer.from(wrap.wrapped), created: new Date(wrap.created) };
}

function byWrapAge(a: Wrap, b: Wrap): number {
  return a.created.getTime() - b.created.getTime() || (a.wrapId < b.wrapId ? -1 : 1);
}
