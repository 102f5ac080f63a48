import { expect } from 'vitest';
import { isFieldSealError, type ErrorCode, type FieldSealError } from '../../src/errors.js';

/** The error that `work` rejects with, which must have this code. */
export async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<FieldSealError> {
  const error: unknown = await work.then(
    () => new Error('expected a rejection'),
    (reason: unknown) => reason,
  );
  if (!isFieldSealError(error)) throw error;
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  return error;
}
