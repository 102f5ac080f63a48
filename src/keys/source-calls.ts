/** Calls of a key source, bounded in time, with coded errors only. */
import { KeyError, isError, isFieldSealError } from '../errors.js';
import type { FieldSealError } from '../errors.js';
import type { Clock } from './ports.js';

/** How long a key source may take for one answer, in ms: first starts make dozens of keys, one KMS call each. */
export const SOURCE_LIMIT_MS = 60_000;

/**
 * The answer of `call`, or an error when it takes too long. A late answer goes to `discard`, which wipes its keys.
 * @throws KeyError `ERR_KEY_UNAVAILABLE` when there is no answer in time; whatever `call` throws, made a coded error.
 */
export async function answerOf<T>(
  clock: Clock,
  what: string,
  call: () => Promise<T>,
  discard: (late: T) => void = () => undefined,
): Promise<T> {
  const answer = invoke(call);
  let cancel = (): void => undefined;
  const tooLate = new Promise<never>((_, reject) => {
    cancel = clock.after(SOURCE_LIMIT_MS, () => {
      // Nobody waits for it any more, so what is wrong with it has nobody to go to.
      answer.then(discard).catch(() => undefined);
      reject(unavailable(what, `none within ${SOURCE_LIMIT_MS / 1_000} s`));
    });
  });
  try {
    return await Promise.race([answer, tooLate]);
  } catch (error) {
    throw codedError(what, error);
  } finally {
    cancel();
  }
}

/** How long the close of a key source is waited for, ms: less than what supervisors give a process to end. */
export const CLOSE_LIMIT_MS = 5_000;

/**
 * Whether `close` ended in time; when it did not, it is left to itself.
 * @throws what `close` throws in time, made a coded error.
 */
export async function closesInTime(clock: Clock, what: string, close: () => Promise<void>): Promise<boolean> {
  const closing = invoke(close).then(() => true);
  let cancel = (): void => undefined;
  const tooLate = new Promise<false>((resolve) => {
    cancel = clock.after(CLOSE_LIMIT_MS, () => {
      closing.catch(() => undefined);
      resolve(false);
    });
  });
  try {
    return await Promise.race([closing, tooLate]);
  } catch (error) {
    throw codedError(what, error);
  } finally {
    cancel();
  }
}

/**
 * The error itself when it is coded. Of any other only the class is told, since its message and fields come from code
 * that may have held keys.
 */
export function codedError(what: string, error: unknown): FieldSealError {
  if (isFieldSealError(error)) return error;
  const kind = isError(error) ? error.constructor.name : typeof error;
  return unavailable(what, `an error that is not one of fieldseal's (${kind})`);
}

function unavailable(what: string, got: string): KeyError {
  return new KeyError(
    'ERR_KEY_UNAVAILABLE',
    `${what}: expected an answer of the key source, got ${got}. Check that the key store and the KMS can be reached.`,
  );
}

/** Turns a throw before the first await into a rejection. */
async function invoke<T>(call: () => Promise<T>): Promise<T> {
  return call();
}
