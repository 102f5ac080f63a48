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
  const names = Buffer.concat([Buffer.of(key.version), lengthPrefixed(column.entity, column.field)]);
  return values.map((value) =>
    value === null || value === undefined ? null : blindIndex(key, column, names, value),
  );
}

function blindIndex(key: IndexKey, column: CellColumn, names: Buffer, value: unknown): Buffer {
  const normal = typeof value === 'string' ? value.normalize('NFC') : value;
  const bytes = canonicalBytes(column.codec, normal, nameOf(column));
  try {
    return key.mac(names, bytes).subarray(0, INDEX_BYTES);
  } finally {
    bytes.fill(0);
  }
}
