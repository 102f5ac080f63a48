/** Data keys for cells that carry their keys: one a record, or one for all that is sealed within a window. */
import type { DataKey } from '../cell/data-key.js';
import { closedError } from './closed.js';
import { earlier, hasPassed, later, msUntil, now, type Deadline } from './deadline.js';
import type { ReusePolicy } from './delivery-options.js';
import { HeldKey } from './held-key.js';
import { settleWhole } from './parallel.js';
import type { Policy } from './policy.js';
import type { Clock } from './ports.js';
import { codedError } from './source-calls.js';

/** A key that nobody has sealed with. */
export interface MadeKey {
  readonly key: DataKey;
  /** When nobody may seal with it any more; undefined: as long as this process likes. */
  readonly sealUntil?: Deadline;
}

export interface RecordKeysOptions {
  readonly policy: Policy;
  readonly clock: Clock;
  readonly make: () => Promise<MadeKey>;
}

/** The key that is reused at the moment. */
interface Window {
  readonly held: HeldKey;
  cells: number;
  readonly cancel: () => void;
}

/** Nobody's key outlives the statement it was made for, but that of a window its end. Safe to call concurrently. */
export class RecordKeys {
  readonly #options: RecordKeysOptions;
  #window: Window | undefined;
  /** Statements ask for the key of the window one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RecordKeysOptions) {
    this.#options = options;
  }

  /**
   * A leased key for each record, by the number of its cells; for none it is undefined. All or nothing: on an error no
   * key stays leased.
   * @throws KeyError `ERR_CLOSED`, and what making a key throws.
   */
  lease(cells: readonly number[]): Promise<readonly (HeldKey | undefined)[]> {
    const { reuse } = this.#options.policy;
    if (reuse === undefined) return this.#leaseOwn(cells);
    const leased = this.#turn.then(() => this.#leaseShared(cells, reuse));
    this.#turn = leased.catch(() => undefined);
    return leased;
  }

  /** Ends the window of a key whose pair was revoked. */
  revoke(fingerprints: readonly string[]): void {
    if (this.#window !== undefined && fingerprints.includes(this.#window.held.fingerprint)) this.#end();
  }

  close(): void {
    this.#closed = true;
    this.#end();
  }

  async #leaseOwn(cells: readonly number[]): Promise<readonly (HeldKey | undefined)[]> {
    const made = await settleWhole(cells, async (count) => {
      if (count === 0) return undefined;
      const held = await this.#make();
      held.lease();
      held.drop();
      return held;
    });
    const failed = made.find((key) => key.status === 'rejected');
    if (failed === undefined)
      return made.map((key) => (key as PromiseFulfilledResult<HeldKey | undefined>).value);
    for (const key of made) if (key.status === 'fulfilled') key.value?.release();
    throw codedError(`Data keys of purpose ${this.#options.policy.purpose}`, failed.reason);
  }

  async #leaseShared(
    cells: readonly number[],
    { cells: limit, forMs }: ReusePolicy,
  ): Promise<readonly (HeldKey | undefined)[]> {
    const leased: (HeldKey | undefined)[] = [];
    try {
      for (const count of cells) {
        if (count === 0) leased.push(undefined);
        else leased.push(await this.#leaseOfWindow(count, limit, forMs));
      }
      return leased;
    } catch (error) {
      for (const held of leased) held?.release();
      throw error;
    }
  }

  /** A record with more cells than a window takes has a window of its own. */
  async #leaseOfWindow(count: number, limit: number, forMs: number): Promise<HeldKey> {
    const { clock } = this.#options;
    const open = this.#window;
    const isOver = open === undefined || hasPassed(open.held.opensUntil, clock) || open.cells + count > limit;
    const window = isOver ? await this.#begin(forMs) : open;
    window.cells += count;
    window.held.lease();
    return window.held;
  }

  async #begin(forMs: number): Promise<Window> {
    this.#end();
    const held = await this.#make(forMs);
    const { clock } = this.#options;
    const cancel = clock.after(msUntil(held.opensUntil, clock), () => {
      if (this.#window?.held === held) this.#end();
    });
    return (this.#window = { held, cells: 0, cancel });
  }

  #end(): void {
    this.#window?.cancel();
    this.#window?.held.drop();
    this.#window = undefined;
  }

  /** Lives from the call, not from its answer: the KMS may take its time. */
  async #make(forMs = 0): Promise<HeldKey> {
    const { policy, clock, make } = this.#options;
    const asked = now(clock);
    const { key, sealUntil } = await make();
    const end = later(asked, forMs);
    if (!this.#closed) return new HeldKey(policy.purpose, key, sealUntil ? earlier(end, sealUntil) : end);
    key.close();
    throw closedError();
  }
}
