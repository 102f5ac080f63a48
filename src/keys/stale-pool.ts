/** The error of a pool, of secret or of public keys, that was not refreshed in time. */
import { KeyError } from '../errors.js';
import type { Policy } from './policy.js';
import type { Refresh } from './refresh.js';

export function stalePool(
  what: string,
  { pool }: Policy,
  { ageMs, failures }: Pick<Refresh, 'ageMs' | 'failures'>,
): KeyError {
  return new KeyError(
    'ERR_POOL_STALE',
    `${what}: expected a refresh every ${pool.lifetimeMs} ms, got the last one ${Math.round(ageMs)} ms ago, with ` +
      `${failures} failed since. Nothing is sealed; the refresh-failed events say why.`,
  );
}
