/** Looks at the KEKs again while a process runs: once a day, and every minute while one of them has not answered yet. */
import type { Clock } from '../keys/ports.js';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

export class KekWatch {
  readonly #clock: Clock;
  /** Whether every KEK answered. Never rejects. */
  readonly #look: () => Promise<boolean>;
  #cancel: () => void = () => undefined;
  #stopped = false;

  constructor(clock: Clock, look: () => Promise<boolean>) {
    this.#clock = clock;
    this.#look = look;
  }

  /** @param haveAllAnswered At the look that was had last. */
  wait(haveAllAnswered: boolean): void {
    if (this.#stopped) return;
    this.#cancel = this.#clock.after(haveAllAnswered ? DAY_MS : MINUTE_MS, () => {
      void this.#look().then((answered) => {
        this.wait(answered);
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }
}
