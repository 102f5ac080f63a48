/** The clock of the machine. */
import type { Clock } from './ports.js';

/** Longest delay that setTimeout takes, in ms; a longer one would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Time of this machine. Its timers do not keep the process alive. */
export const systemClock: Clock = Object.freeze({
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs: number, task: () => void) => {
    const fireAt = performance.now() + delayMs;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = fireAt - performance.now();
      timer = setTimeout(leftMs > MAX_TIMEOUT_MS ? arm : task, Math.min(leftMs, MAX_TIMEOUT_MS));
      timer.unref();
    };
    arm();
    return () => {
      clearTimeout(timer);
    };
  },
});
