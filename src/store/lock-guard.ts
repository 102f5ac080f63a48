/** What both stores promise about the work under a lock, around what differs between them. */
import { StoreError } from '../errors.js';
import type { KeyEvent, KeyFilter, KeyRecord, KeyScope, LockedKeyStore } from '../keys/ports.js';
import type { KeyState } from '../keys/states.js';
import { describeScope, isSameScope } from './scopes.js';

/**
 * A locked key store that runs its calls one after another, refuses records of other scopes, refuses calls after the
 * lock has ended (they would run in somebody else's transaction), and remembers a failed call: work that swallows the
 * error of a statement must not commit the rest.
 */
export class LockGuard implements LockedKeyStore {
  readonly #scope: KeyScope;
  readonly #store: LockedKeyStore;
  #last: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(scope: KeyScope, store: LockedKeyStore) {
    this.#scope = scope;
    this.#store = store;
  }

  list(scope: KeyScope, filter?: KeyFilter): Promise<KeyRecord[]> {
    return this.#run(() => this.#store.list(scope, filter));
  }

  find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    return this.#run(() => this.#store.find(scope, fingerprints));
  }

  events(scope: KeyScope, fromSeq?: number): Promise<KeyEvent[]> {
    return this.#run(() => this.#store.events(scope, fromSeq));
  }

  lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    return this.#run(() => this.#store.lastEvent(scope));
  }

  now(): Promise<number | undefined> {
    return this.#run(() => this.#store.now());
  }

  insert(record: KeyRecord): Promise<boolean> {
    return this.#run(() => this.#store.insert(record), [record]);
  }

  update(record: KeyRecord, from: KeyState): Promise<boolean> {
    return this.#run(() => this.#store.update(record, from), [record]);
  }

  append(events: readonly KeyEvent[]): Promise<void> {
    return this.#run(() => this.#store.append(events), events);
  }

  /** Ends the lock once the calls under way are done; throws what the first failed call threw. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#last;
    if (this.#failure) throw this.#failure.error;
  }

  #run<T>(call: () => Promise<T>, written: readonly KeyScope[] = []): Promise<T> {
    if (this.#ended)
      return Promise.reject(
        this.#refusal('ERR_STORE_CLOSED', 'its lock has ended; await every call inside withLock'),
      );
    const result = this.#last.then(() => {
      if (this.#failure) throw this.#failure.error;
      if (!written.every((record) => isSameScope(record, this.#scope))) {
        throw this.#refusal('ERR_STORE_ROW', 'expected a record of this scope, got one of another');
      }
      return call();
    });
    this.#last = result.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    return result;
  }

  #refusal(code: 'ERR_STORE_CLOSED' | 'ERR_STORE_ROW', why: string): StoreError {
    return new StoreError(code, `Key store, scope ${describeScope(this.#scope)}: ${why}.`);
  }
}
