/** Keys that cells name by their fingerprint, asked for where there are none. */
import { KeyError } from '../errors.js';
import type { LoadOutcome } from '../keys/ports.js';

/**
 * A field may accept cells of other deliveries that were written before; their keys are in a key store.
 * @param why Who has none, and what to do.
 */
export function notStored(
  purpose: string,
  fingerprints: readonly string[],
  why: string,
): readonly LoadOutcome[] {
  return fingerprints.map((fingerprint) => ({
    fingerprint,
    error: new KeyError(
      'ERR_KEY_NOT_FOUND',
      `Key ${fingerprint} of purpose ${purpose}: expected it in a key store, and ${why}.`,
    ),
  }));
}
