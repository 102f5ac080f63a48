/** The error of a pool, of secret or of public keys, that was not refreshed in time. */
import { KeyError } from '../errors.js';
import { MIN_REFRESH_MS } from './pool-schedule.js';
import type { Policy } from './policy.js';
import type { Refresh } from './refresh.js';

type Refreshed = Pick<Refresh, 'ageMs' | 'failures' | 'underWayMs'>;

export function stalePool(what: string, { pool }: Policy, refresh: Refreshed): KeyError {
  const last = `expected a refresh every ${pool.lifetimeMs} ms, got the last one ${Math.round(refresh.ageMs)} ms ago`;
  return new KeyError('ERR_POOL_STALE', `${what}: ${last}${why(refresh)}`);
}

function why({ failures, underWayMs }: Refreshed): string {
  if (failures > 0) {
    return `, with ${failures} failed since. Nothing is sealed; the refresh-failed events say why.`;
  }
  // Whoever finds no key asks for new ones, and what was asked for just now explains nothing.
  return underWayMs < MIN_REFRESH_MS ? STOOD_STILL : slow(underWayMs);
}

/** No timer runs in a process that is stopped, as with SIGSTOP, a container that is paused, or a function that is frozen. */
const STOOD_STILL =
  '; none has failed since: this process or its machine stood still, or its clock was set. Nothing is sealed; new keys are ' +
  'being asked for. Try again, or seal in a way that waits for them: sealAsync, or save of an entity.';

function slow(underWayMs: number): string {
  const since = Math.round(underWayMs);
  return `; none has failed since, and one has waited for the key source for ${since} ms. Nothing is sealed until it answers; look at the network paths to the key store and to the KMS.`;
}
