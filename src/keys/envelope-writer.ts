/** Data keys for envelope cells: one a record, or one for all that is sealed within a window. */
import { DataKey, type KeyOwner } from '../cell/data-key.js';
import { closedError } from './closed.js';
import { hasPassed, later, now } from './deadline.js';
import { HeldKey } from './held-key.js';
import { settleAll } from './parallel.js';
import type { Policy } from './policy.js';
import type { Clock, EnvelopeKey } from './ports.js';
import { answerOf, codedError } from './source-calls.js';

export interface EnvelopeWriterOptions {
  readonly owner: KeyOwner;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly make: () => Promise<EnvelopeKey>;
}

/** The key that is reused at the moment. */
interface Window {
  readonly held: HeldKey;
  cells: number;
  readonly cancel: () => void;
}

/** Nobody's key outlives the statement it was made for, but that of a window its end. Safe to call concurrently. */
export class EnvelopeWriter {
  readonly #options: EnvelopeWriterOptions;
  readonly #what: string;
  #window: Window | undefined;
  /** Statements ask for the key of the window one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: EnvelopeWriterOptions) {
    this.#options = options;
    this.#what = `Data key for envelope cells of purpose ${options.policy.purpose}`;
  }

  /**
   * A leased key for each record, by the number of its cells; for none it is undefined. All or nothing: on an error no
   * key stays leased.
   * @throws KmsError; KeyError `ERR_KEY_UNAVAILABLE`, `ERR_CLOSED`.
   */
  lease(cells: readonly number[]): Promise<readonly (HeldKey | undefined)[]> {
    const { reuse } = this.#options.policy.envelope;
    if (reuse === undefined) return this.#leaseOwn(cells);
    const leased = this.#turn.then(() => this.#leaseShared(cells, reuse));
    this.#turn = leased.catch(() => undefined);
    return leased;
  }

  close(): void {
    this.#closed = true;
    this.#end();
  }

  async #leaseOwn(cells: readonly number[]): Promise<readonly (HeldKey | undefined)[]> {
    const made = await settleAll(cells, async (count) => {
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
    throw codedError(this.#what, failed.reason);
  }

  async #leaseShared(
    cells: readonly number[],
    { cells: limit, forMs }: NonNullable<Policy['envelope']['reuse']>,
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
    const cancel = this.#options.clock.after(forMs, () => {
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
    const { owner, policy, clock, make } = this.#options;
    const asked = now(clock);
    const made = await answerOf(clock, this.#what, make, ({ root }) => root.fill(0));
    if (this.#closed) {
      made.root.fill(0);
      throw closedError();
    }
    const key = DataKey.deriveEnvelope(made.root, owner, made);
    return new HeldKey(policy.purpose, key, later(asked, forMs));
  }
}
