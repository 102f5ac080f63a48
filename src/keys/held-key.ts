/** One key in this process, shared by the pages that are using it at the moment. */
import type { DataKey } from '../cell/data-key.js';
import type { Deadline } from './deadline.js';

/** What is held: a data key, or the private half of a pair. */
export interface Closeable {
  readonly fingerprint: string;
  close(): void;
}

/** Closed at once when dropped unused, else when the last page that leased it is done. */
export class HeldKey<Key extends Closeable = DataKey> {
  readonly purpose: string;
  /** When the process must stop opening with it; absolute from unwrap, never extended by use. */
  readonly opensUntil: Deadline;
  readonly #key: Key;
  #leases = 0;
  #dropped = false;

  constructor(purpose: string, key: Key, opensUntil: Deadline) {
    this.purpose = purpose;
    this.opensUntil = opensUntil;
    this.#key = key;
  }

  get fingerprint(): string {
    return this.#key.fingerprint;
  }

  /** The key, for synchronous use only: without a lease it may be closed at the next turn of the event loop. */
  get key(): Key {
    return this.#key;
  }

  /** Whether the holder has forgotten the key, while pages may still be using it. */
  get dropped(): boolean {
    return this.#dropped;
  }

  /** Keeps the key usable until {@link release}, even when it is dropped meanwhile. */
  lease(): void {
    this.#leases += 1;
  }

  release(): void {
    this.#leases -= 1;
    this.#closeIfUnused();
  }

  /** No new page gets the key from now on; the holder forgets it. */
  drop(): void {
    this.#dropped = true;
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (this.#dropped && this.#leases === 0) this.#key.close();
  }
}
