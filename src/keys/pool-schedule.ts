/** When a pool is refreshed. */
import type { RandomBelow } from './ports.js';

/** Shortest time between two refreshes that a clock or a limit asked for, in ms. */
export const MIN_REFRESH_MS = 1_000;
/** Longest wait before a failed refresh is tried again, in ms. */
const MAX_BACKOFF_MS = 60_000;
/** Processes started together spread their refreshes over the last tenth of the time. */
const JITTER = 0.1;
const JITTER_STEPS = 1_024;

/** After a success: the earlier of the lifetime, less jitter, and the time when the first key retires. */
export function refreshInMs(lifetimeMs: number, firstRetiresInMs: number, randomBelow: RandomBelow): number {
  return Math.max(MIN_REFRESH_MS, Math.min(lessJitter(lifetimeMs, randomBelow), firstRetiresInMs));
}

/** After so many failures in a row: a second, doubled each time, up to a minute or a quarter of the lifetime. */
export function retryInMs(lifetimeMs: number, failures: number, randomBelow: RandomBelow): number {
  const longestMs = Math.max(MIN_REFRESH_MS, Math.min(MAX_BACKOFF_MS, lifetimeMs / 4));
  return lessJitter(Math.min(longestMs, MIN_REFRESH_MS * 2 ** (failures - 1)), randomBelow);
}

function lessJitter(ms: number, randomBelow: RandomBelow): number {
  return ms * (1 - (JITTER * randomBelow(JITTER_STEPS)) / JITTER_STEPS);
}
