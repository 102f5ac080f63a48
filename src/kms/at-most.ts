/** Bounds how many tasks run at the same time; the others wait in order, but not for ever. */

interface Waiting {
  readonly since: number;
  start(): void;
  giveUp(error: Error): void;
}

export interface AtMostOptions {
  readonly most: number;
  /** How long one waits, ms: as long as somebody waits for what it would bring. */
  readonly patienceMs: number;
  /** Monotonic, ms. Replaced in tests. */
  readonly now?: () => number;
  /** What becomes of one that waited longer. */
  readonly tooLate: () => Error;
}

export class AtMost {
  readonly #options: AtMostOptions;
  readonly #now: () => number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(options: AtMostOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws what the task throws, or `tooLate`. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#options.most) this.#running++;
    else {
      await new Promise<void>((start, giveUp) => this.#waiting.push({ since: this.#now(), start, giveUp }));
    }
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  /** The one who finishes hands its place over, so `#running` does not change. */
  #next(): void {
    const { patienceMs, tooLate } = this.#options;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#now() - next.since <= patienceMs) {
        next.start();
        return;
      }
      next.giveUp(tooLate());
    }
    this.#running--;
  }
}
