/** Blind indexes: equal values of a column have equal ones, and nothing else can be told without the index key. */
import type { CellColumn } from './column.js';
import { nameOf } from './column.js';
import { canonicalBytes } from './codecs.js';
import type { IndexKey } from './index-key.js';
import { lengthPrefixed } from './length-prefix.js';

/** 128 bits: no two values of a table meet by chance. */
const INDEX_BYTES = 16;

/**
 * The first 16 bytes of HMAC-SHA-256 over index version, entity, field and value, one per value; `null` for `null` and
 * `undefined`. Values are normalised already; strings are brought to normal form C here, objects are indexed with
 * their keys sorted.
 * @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE`; KeyError `ERR_KEY_CLOSED`
 */
export function blindIndexes(
  key: IndexKey,
  column: CellColumn,
  values: readonly unknown[],
): (Buffer | null)[] {
  const names = namesOf(key.version, column);
  return values.map((value) =>
    value === null || value === undefined ? null : blindIndex(key, column, names, value),
  );
}

/**
 * What is authenticated for one value, which is set, for an HMAC-SHA-256 that somebody else makes.
 * @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE`
 */
export function indexMessage(version: number, column: CellColumn, value: unknown): Buffer {
  const names = namesOf(version, column);
  const bytes = normalBytes(column, value);
  // Never of the pool that small buffers of the whole process share.
  const message = Buffer.alloc(names.length + bytes.length);
  message.set(names);
  message.set(bytes, names.length);
  bytes.fill(0);
  return message;
}

/** The blind index that an HMAC-SHA-256 of such a message is. */
export function indexOf(mac: Buffer): Buffer {
  return mac.subarray(0, INDEX_BYTES);
}

function blindIndex(key: IndexKey, column: CellColumn, names: Buffer, value: unknown): Buffer {
  const bytes = normalBytes(column, value);
  try {
    return indexOf(key.mac(names, bytes));
  } finally {
    bytes.fill(0);
  }
}

function namesOf(version: number, column: CellColumn): Buffer {
  return Buffer.concat([Buffer.of(version), lengthPrefixed(column.entity, column.field)]);
}

function normalBytes(column: CellColumn, value: unknown): Buffer {
  const normal = typeof value === 'string' ? value.normalize('NFC') : value;
  return canonicalBytes(column.codec, normal, nameOf(column));
}
