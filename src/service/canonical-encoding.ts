/** Bytes for hashes and MACs: two different lists of values never give the same bytes. */
import { isDate, isUint8Array } from 'node:util/types';
import { StoreError } from '../errors.js';

/** What the key store holds in its columns. */
export type CanonicalValue = string | number | Date | Uint8Array | null | readonly CanonicalValue[];

/**
 * Encodes `values` under a label that separates uses. Every value is a type letter, a u32 big-endian length and its
 * bytes, so no value can run into its neighbour or pass for another type.
 * @throws StoreError `ERR_STORE_ROW` for a number that is not a whole one, an invalid date, or a lone surrogate.
 */
export function canonicalBytes(label: string, values: readonly CanonicalValue[]): Buffer {
  return Buffer.concat([encode(label), ...values.map(encode)]);
}

function encode(value: CanonicalValue): Buffer {
  if (value === null) return tagged('n', Buffer.alloc(0));
  if (typeof value === 'string') return tagged('s', utf8(value));
  if (typeof value === 'number') return tagged('i', decimal(value));
  if (isDate(value)) return tagged('t', decimal(value.getTime()));
  if (isUint8Array(value)) return tagged('b', value);
  return tagged('l', Buffer.concat(value.map(encode)));
}

function tagged(type: string, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5, type, 'latin1');
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function utf8(value: string): Buffer {
  // A lone surrogate has no UTF-8 form; it would be encoded like the replacement character.
  if (/\p{Cs}/u.test(value)) throw refused('well-formed text', 'a lone surrogate');
  return Buffer.from(value, 'utf8');
}

function decimal(value: number): Buffer {
  if (!Number.isSafeInteger(value)) throw refused('a whole number or a valid date', 'neither');
  return Buffer.from(String(value), 'latin1');
}

function refused(expected: string, got: string): StoreError {
  return new StoreError(
    'ERR_STORE_ROW',
    `Key store: expected ${expected} in a row, got ${got}; check the row.`,
  );
}
