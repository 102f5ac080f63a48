/** Errors that stay true for a while, so that asking again costs nothing. */
import { LRUCache } from 'lru-cache';
import type { FieldSealError } from '../errors.js';
import type { Clock } from './ports.js';

/** Refusals remembered; anybody who writes rows can invent more. */
const MAX_REFUSALS = 10_000;

/** By a text that names what was refused. */
export function refusals(clock: Clock, forMs: number): LRUCache<string, FieldSealError> {
  return new LRUCache({
    max: MAX_REFUSALS,
    ttl: forMs,
    // Without it lru-cache would set a timer of its own to look at the clock once a millisecond.
    ttlResolution: 0,
    // lru-cache takes an entry that started at 0 for one without a time.
    perf: { now: () => clock.monotonic() + 1 },
  });
}
