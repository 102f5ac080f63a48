/** The error of a pool, of secret or of public keys, that was not refreshed in time. */
import { KeyError } from '../errors.js';
import type { Policy } from './policy.js';
import type { Refresh } from './refresh.js';

export function stalePool(
  what: string,
  { pool }: Policy,
  { ageMs, failures }: Pick<Refresh, 'ageMs' | 'failures'>,
): KeyError {
  const last = `expected a refresh every ${pool.lifetimeMs} ms, got the last one ${Math.round(ageMs)} ms ago`;
  return new KeyError('ERR_POOL_STALE', `${what}: ${last}${failures > 0 ? failed(failures) : NONE_FAILED}`);
}

function failed(failures: number): string {
  return `, with ${failures} failed since. Nothing is sealed; the refresh-failed events say why.`;
}

/** No timer runs in a process that is stopped, as with SIGSTOP, a container that is paused, or a function that is frozen. */
const NONE_FAILED =
  '; none has failed since: this process or its machine stood still, or its clock was set. Nothing is sealed; new keys are ' +
  'being asked for. Try again, or seal in a way that waits for them: sealAsync, or save of an entity.';
