/** Keeps what a process seals with fresh: one refresh in flight, again on a timer, sooner after a failure. */
import type { FieldSealError } from '../errors.js';
import { closedError } from './closed.js';
import { hasPassed, later, msSince, now } from './deadline.js';
import type { Deadline } from './deadline.js';
import type { FieldSealEvent } from './events.js';
import { MIN_REFRESH_MS, refreshInMs, retryInMs } from './pool-schedule.js';
import type { Policy } from './policy.js';
import type { Clock, RandomBelow } from './ports.js';
import { codedError } from './source-calls.js';

export interface RefreshOptions {
  /** In errors. */
  readonly what: string;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
  readonly emit: (event: FieldSealEvent) => void;
  /** Fetches what was asked for at `asked` and takes it. */
  readonly renew: (asked: Deadline) => Promise<Renewed>;
  /** Told of a failure before the event: what there is stays, but for what is of no use any more. */
  readonly failed: () => void;
  /** How long what there is will do. */
  readonly outageLeftMs: () => number;
}

export interface Renewed {
  readonly keys: number;
  /** When there is more to fetch, at the latest; from now, in ms. */
  readonly nextInMs: number;
}

export class Refresh {
  readonly #options: RefreshOptions;
  readonly #clock: Clock;
  #asked: Deadline;
  #refreshed: Deadline;
  #due: Deadline | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #lastFailure: FieldSealError | undefined;
  #closed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(options: RefreshOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#asked = this.#refreshed = now(options.clock);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Since the last success, by the clock that is ahead. */
  get ageMs(): number {
    return msSince(this.#refreshed, this.#clock);
  }

  /** How long the one under way has lasted; 0 where none is. */
  get underWayMs(): number {
    return this.#running === undefined ? 0 : msSince(this.#asked, this.#clock);
  }

  /** Since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Of those since the last success. */
  get lastFailure(): FieldSealError | undefined {
    return this.#lastFailure;
  }

  /**
   * Renews; concurrent calls share one. When it fails an event says why, and it is tried again after a while.
   * @throws what `renew` throws; KeyError `ERR_CLOSED`.
   */
  run(): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    this.#running ??= this.#try().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Nobody waits for it: its failure is told by an event, and by whoever finds no key afterwards. */
  runBehind(): void {
    if (this.#closed || this.#running !== undefined) return;
    this.run().catch(() => undefined);
  }

  /**
   * For those who have nothing and may wait. Where one has failed nobody waits: its timer keeps its pace. Of a process
   * that stood still the connections are often broken, which the first attempt finds out: hence two. Never rejects.
   */
  async waitUnlessFailed(): Promise<void> {
    if (this.#failures > 0) return;
    for (let attempt = 1; attempt <= 2 && !this.#closed; attempt++) {
      const isDone = await this.run().then(
        () => true,
        () => false,
      );
      if (isDone) return;
    }
  }

  /** For those who look while no timer can fire: the machine slept, or the wall clock was set. */
  runIfDue(): void {
    if (this.#due !== undefined && hasPassed(this.#due, this.#clock)) this.runBehind();
  }

  /** For those who found nothing. After a failure the timer keeps its pace, however many statements fail meanwhile. */
  runIfIdle(): void {
    const waited = msSince(this.#asked, this.#clock) >= MIN_REFRESH_MS;
    if (waited && this.#failures === 0) this.runBehind();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  async #try(): Promise<void> {
    this.#cancelTimer();
    const { what, policy, randomBelow, emit, renew } = this.#options;
    const asked = (this.#asked = now(this.#clock));
    let renewed: Renewed;
    try {
      renewed = await renew(asked);
    } catch (error) {
      const coded = codedError(what, error);
      if (!this.#closed) this.#fail(coded);
      throw coded;
    }
    this.#refreshed = asked;
    this.#failures = 0;
    this.#lastFailure = undefined;
    this.#again(refreshInMs(policy.pool.lifetimeMs, renewed.nextInMs, randomBelow));
    emit({ type: 'pool-refreshed', purpose: policy.purpose, keys: renewed.keys });
  }

  #fail(error: FieldSealError): void {
    this.#failures += 1;
    this.#lastFailure = error;
    const { policy, randomBelow, emit, failed, outageLeftMs } = this.#options;
    failed();
    emit({ type: 'refresh-failed', purpose: policy.purpose, error, outageLeftMs: outageLeftMs() });
    this.#again(retryInMs(policy.pool.lifetimeMs, this.#failures, randomBelow));
  }

  #again(delayMs: number): void {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#due = later(now(this.#clock), delayMs);
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.runBehind();
    });
  }
}
