/** Repeats a call that failed for a passing reason: exponential backoff with full jitter, bounded in number and in time. */
import { setTimeout as pause } from 'node:timers/promises';

export interface RetryLimits {
  readonly attempts: number;
  /** Milliseconds for everything, pauses included. */
  readonly totalMs: number;
}

/** Time and chance, replaced in tests. */
export interface RetryTiming {
  /** Monotonic milliseconds. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  pause(delayMs: number, signal: AbortSignal): Promise<void>;
}

/** Longest pause before the second attempt and before any attempt, ms. AWS SDKs use the same order of size. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

const systemTiming: RetryTiming = {
  now: () => performance.now(),
  random: () => Math.random(),
  pause: (delayMs, signal) => pause(delayMs, undefined, { signal }),
};

/**
 * Calls `attempt` until it succeeds, fails for good, or a limit is reached; then throws its last error.
 * @param attempt Is told how many milliseconds it may take.
 * @param mayRetry Whether this error can pass by itself.
 * @param signal Ends the pauses; the error of the last attempt is thrown.
 */
export async function withRetries<T>(
  attempt: (leftMs: number) => Promise<T>,
  mayRetry: (error: unknown) => boolean,
  limits: RetryLimits,
  signal: AbortSignal,
  timing: RetryTiming = systemTiming,
): Promise<T> {
  const end = timing.now() + limits.totalMs;
  for (let tried = 1; ; tried++) {
    try {
      return await attempt(end - timing.now());
    } catch (error) {
      // Full jitter (Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015): processes that were
      // throttled together do not come back together.
      const delayMs = timing.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tried - 1));
      const over = tried >= limits.attempts || timing.now() + delayMs >= end;
      if (over || signal.aborted || !mayRetry(error)) throw error;
      await timing.pause(delayMs, signal).catch(() => {
        throw error;
      });
    }
  }
}
