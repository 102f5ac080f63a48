/** Errors of KMS calls, in the form in which they may be told. */
import { isError, isFieldSealError, KeyError, type FieldSealError } from '../errors.js';

/** The error itself where it has a code. Any other is dropped: nobody has looked through what it carries. */
export function codedError(error: unknown): FieldSealError {
  if (isFieldSealError(error)) return error;
  const kind = isError(error) ? error.name : typeof error;
  return new KeyError('ERR_KEY_UNAVAILABLE', `The KMS failed in a way that has no code (${kind}).`);
}

/** Whether the KMS is out of reach for now, and not refusing. */
export function isPassingTrouble(error: FieldSealError): boolean {
  return error.retryable && (error.code.startsWith('ERR_KMS_') || error.code === 'ERR_KEY_UNAVAILABLE');
}
