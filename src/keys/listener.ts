/** Tells a listener of events; whatever it does wrong stays with it. */
import { isPromise } from 'node:util/types';
import type { FieldSealEvent } from './events.js';

export class Listener {
  readonly #onEvent: ((event: FieldSealEvent) => unknown) | undefined;
  #errors = 0;

  constructor(onEvent: ((event: FieldSealEvent) => unknown) | undefined) {
    this.#onEvent = onEvent;
  }

  /** Events on which the listener threw, or rejected. */
  get errors(): number {
    return this.#errors;
  }

  emit(event: FieldSealEvent): void {
    try {
      const returned = this.#onEvent?.(event);
      if (isPromise(returned)) returned.catch(() => this.#errors++);
    } catch {
      this.#errors += 1;
    }
  }
}
