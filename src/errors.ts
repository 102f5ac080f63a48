/**
 * Every error of fieldseal: one base class, one subclass per area, one table of codes.
 *
 * Messages name the entity and field or the fingerprint, what was expected, what was got (as a type or a length) and
 * what to do next. They never hold a value, a key, ciphertext or a search term.
 */
import { isNativeError } from 'node:util/types';

interface CodeEntry<A extends Area = Area> {
  readonly area: A;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
}

export type Area = 'config' | 'format' | 'seal' | 'open' | 'key' | 'kms' | 'store' | 'query';

const final = <A extends Area>(area: A): CodeEntry<A> => ({ area, retryable: false });
const retry = <A extends Area>(area: A): CodeEntry<A> => ({ area, retryable: true });

/** Every code, the area it belongs to, and whether a retry can help. `docs/errors.md` has a heading for each. */
export const ERROR_CODES = {
  ERR_CONFIG_OPTION: final('config'),
  ERR_CONFIG_FIELD: final('config'),
  ERR_CONFIG_FORBIDDEN_FIELD: final('config'),
  ERR_CONFIG_DUPLICATE_CONTEXT: final('config'),
  ERR_CONFIG_PURPOSE_UNKNOWN: final('config'),
  ERR_CONFIG_KEK_SPREAD: final('config'),
  ERR_CONFIG_KEK_FILE: final('config'),
  ERR_CONFIG_POOL_NOT_WRITE_ONLY: final('config'),
  ERR_CONFIG_INDEX_NOT_WRITE_ONLY: final('config'),
  ERR_CONFIG_PEER_MISSING: final('config'),
  ERR_CONFIG_PEER_FAILED: final('config'),
  ERR_CONFIG_ORM: final('config'),
  ERR_CONFIG_PLAINTEXT_COLUMN: final('config'),
  ERR_CONFIG_CELL_COLUMN: final('config'),

  ERR_FORMAT_CELL: final('format'),
  ERR_FORMAT_NOT_ACCEPTED: final('format'),

  ERR_SEAL_TYPE: final('seal'),
  ERR_SEAL_VALUE: final('seal'),
  ERR_SEAL_BINDING: final('seal'),
  ERR_SEAL_CIPHER: retry('seal'),
  ERR_SEAL_NOT_ATTACHED: final('seal'),
  ERR_SEAL_NOT_PREPARED: final('seal'),
  ERR_SEAL_READ_ONLY: final('seal'),

  ERR_OPEN_FAILED: final('open'),
  ERR_OPEN_CIPHER: retry('open'),
  ERR_OPEN_NOT_ATTACHED: final('open'),
  ERR_OPEN_WRITE_ONLY: final('open'),

  ERR_KEY_NOT_FOUND: final('key'),
  ERR_KEY_STATE: final('key'),
  ERR_KEY_UNAVAILABLE: retry('key'),
  ERR_KEY_COMMITMENT: final('key'),
  ERR_KEY_CLOSED: retry('key'),
  ERR_KEY_LIST_REFUSED: final('key'),
  ERR_KEY_MOVE: final('key'),
  ERR_POOL_STALE: retry('key'),
  ERR_POOL_EMPTY: retry('key'),
  ERR_CLOSED: final('key'),

  ERR_KMS_KEK_NOT_CONFIGURED: final('kms'),
  ERR_KMS_KEK_UNUSABLE: final('kms'),
  ERR_KMS_DENIED: final('kms'),
  ERR_KMS_THROTTLED: retry('kms'),
  ERR_KMS_TIMEOUT: retry('kms'),
  ERR_KMS_UNAVAILABLE: retry('kms'),
  ERR_KMS_WRAP_REFUSED: final('kms'),
  ERR_KMS_RESPONSE: final('kms'),
  ERR_KMS_TOO_MUCH_PRIVILEGE: final('kms'),
  ERR_KMS_WRITE_ONLY: final('kms'),

  ERR_STORE_NOT_MIGRATED: final('store'),
  ERR_STORE_EMPTY: final('store'),
  ERR_STORE_UNAVAILABLE: retry('store'),
  ERR_STORE_DENIED: final('store'),
  ERR_STORE_ROW: final('store'),
  ERR_STORE_ROW_MAC: final('store'),
  ERR_STORE_REVISION: final('store'),
  ERR_STORE_EVENTS: final('store'),
  ERR_STORE_KEY: final('store'),
  ERR_STORE_CLOCK: final('store'),
  ERR_STORE_NEWER: final('store'),
  ERR_STORE_CLOSED: final('store'),

  ERR_QUERY_UNSUPPORTED: final('query'),
  ERR_QUERY_NO_BLIND_INDEX: final('query'),
  ERR_QUERY_INSERT_ONLY: final('query'),
  ERR_QUERY_PARAMETERS: final('query'),
  ERR_QUERY_TRANSACTION_ENDED: retry('query'),
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

type CodesOf<A extends Area> = {
  [C in ErrorCode]: (typeof ERROR_CODES)[C]['area'] extends A ? C : never;
}[ErrorCode];

// Registered, so that two copies of the package in one process (ESM and CommonJS, two installs) know each other's
// errors. `instanceof` does not.
const brand = Symbol.for('fieldseal/error');

/** Base of every error that fieldseal throws. Test with {@link isFieldSealError}, branch on `code`. */
export class FieldSealError extends Error {
  /** Stable name of what went wrong; see `docs/errors.md`. */
  readonly code: ErrorCode;
  /** Whether the same call may succeed later without a change of code, data or configuration. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.retryable = ERROR_CODES[code].retryable;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** An error of one area, which takes the codes of that area only. */
class AreaError<A extends Area> extends FieldSealError {
  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- It narrows the codes.
  constructor(code: CodesOf<A>, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }
}

/** Wrong options, declarations or installation; thrown at start. */
export class ConfigError extends AreaError<'config'> {}

/** Bytes that are not a cell, or a cell of a kind that the field does not accept. */
export class FormatError extends AreaError<'format'> {}

/** A value that could not be sealed. Nothing was written. */
export class SealError extends AreaError<'seal'> {}

/** A cell that could not be opened although its key is there. */
export class OpenError extends AreaError<'open'> {}

/** A data key that is unknown, forbidden, out of reach, or not the one its fingerprint names. */
export class KeyError extends AreaError<'key'> {}

/** The KMS refused, failed, or would have been asked for a KEK that is not configured. */
export class KmsError extends AreaError<'kms'> {}

/** The key store is missing, out of reach, or holds a row that was changed behind the key service's back. */
export class StoreError extends AreaError<'store'> {}

/** A query that would not do what it says on an encrypted field. */
export class QueryError extends AreaError<'query'> {}

/** True for errors of fieldseal, of any copy of the package in this process. */
export function isFieldSealError(error: unknown): error is FieldSealError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** True for errors of this and of any other realm: those that Node makes are not of the realm of a test runner's files. */
export function isError(error: unknown): error is Error {
  return isNativeError(error) || error instanceof Error;
}
