/** What `localKeks` throws. Names and lengths, never a wrap or a key. */
import { KmsError } from '../../errors.js';
import type { BoundContext } from '../wrap-context.js';
import type { KeyForm } from './key-forms.js';
import { isLocalKekName } from './local-kek.js';

export function missingKek(kek: string, purpose: string, missing: readonly string[]): KmsError {
  return new KmsError(
    'ERR_KMS_KEK_UNUSABLE',
    `${kek} for purpose "${purpose}": expected it in a key file, got none, and ${missing.join(', ')} is missing; put the file back from its backup.`,
  );
}

/** `form` has the lengths that the wrap may have, `length` is its own. */
export function refused(
  kek: string,
  context: BoundContext,
  length: number,
  { least, most }: Pick<KeyForm, 'least' | 'most'>,
): KmsError {
  const { application, environment, purpose, kind, delivery } = context;
  const expected = least === most ? `${least}` : `${least} to ${most}`;
  const got = length >= least && length <= most ? 'bytes that do not verify' : `${length} bytes`;
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Unwrapping under ${kek} for application "${application}", environment "${environment}", purpose "${purpose}", kind ${kind}, delivery ${delivery}: expected a wrap of ${expected} bytes that localKeks made, got ${got}; the wrap was changed, or belongs to another of these names. Compare it with a backup of where it is stored.`,
  );
}

export function notConfigured(kek: string, purpose: string, list: string): KmsError {
  const got = isLocalKekName(kek) ? kek : `a name of ${kek.length} characters that is none of a local KEK`;
  return new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${purpose}": expected a KEK of localKeks ${list}, got ${got}; a wrap may only name configured KEKs. A key file that was exchanged has another name: put the old one back, or into openKeks.`,
  );
}

/** `known` are the purposes that were started. */
export function noKek(purpose: string, known: readonly string[]): KmsError {
  return new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${purpose}" has no KEK: expected one of ${known.join(', ') || 'none yet, start() was not called'}; add it to localKeks.keks.`,
  );
}

export function noWrap(purpose: string): KmsError {
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Purpose "${purpose}": expected at least one wrap of the key, got none; restore the key store from a backup.`,
  );
}

export function writeOnly(): KmsError {
  return new KmsError(
    'ERR_KMS_WRITE_ONLY',
    'localKeks was started write-only: it makes data keys for envelopes and does nothing else; open values and manage keys in another process.',
  );
}

export function closed(): KmsError {
  return new KmsError('ERR_KMS_UNAVAILABLE', 'localKeks: the KEK provider was closed; make a new one.');
}
