import type { Logger } from 'pino';
import { chargeNext, type ChargeParts } from './charge-next.js';

/** Charges what is pending whenever it is woken; one charge at a time. */
export class ChargeWorker {
  readonly #parts: ChargeParts;
  readonly #log: Logger;
  #working: Promise<void> | undefined;
  #wokenAgain = false;
  #stopped = false;

  constructor(parts: ChargeParts, log: Logger) {
    this.#parts = parts;
    this.#log = log;
  }

  /** May be called at any time, by whoever knows or guesses that there is something to do. */
  wake(): void {
    this.#wokenAgain = true;
    this.#working ??= this.#work();
  }

  /** Finishes the charge at hand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#wokenAgain) {
      this.#wokenAgain = false;
      try {
        await this.#chargeAll();
      } catch (error) {
        // What stays pending is tried again when cron wakes this process.
        this.#log.error({ err: error }, 'charging stopped');
      }
    }
    // In the same step as the last look at the flag, so that nobody wakes in between and is not heard.
    this.#working = undefined;
  }

  async #chargeAll(): Promise<void> {
    while (!this.#stopped) {
      const charge = await chargeNext(this.#parts);
      if (charge === undefined) return;
      const { id, state, reason } = charge;
      this.#log.info({ charge: id, state, reason }, state === 'pending' ? 'charge set aside' : 'charge done');
    }
  }
}
