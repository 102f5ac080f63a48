/** Values as strings that are equal exactly when the values are, for the dirty check. Never stored, never shown. */
import { isDate, isUint8Array } from 'node:util/types';
import { type CodecName, knownCodec } from '../cell/codecs.js';
import { cellOf, type Sealed } from './sealed.js';

type Canonical = (value: never) => string;

const CANONICAL: Readonly<Record<CodecName, Canonical>> = {
  string: (value: string) => value,
  number: (value: number) => String(value === 0 ? 0 : value),
  bigint: (value: bigint) => String(value),
  boolean: (value: boolean) => String(value),
  date: (value: Date) => String(Date.prototype.getTime.call(value)),
  json: (value: unknown) => knownCodec('json').canonical!(value, 'dirty check') as string,
  bytes: (value: Uint8Array) =>
    Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1'),
};

const TYPES: Readonly<Record<CodecName, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  bigint: (value) => typeof value === 'bigint',
  boolean: (value) => typeof value === 'boolean',
  date: isDate,
  json: () => true,
  bytes: isUint8Array,
};

// A value of another type than the codec's is never equal to a stored one: it becomes a change, and sealing refuses it.
let strangers = 0;

export function canonicalOf(codec: CodecName, value: unknown): string {
  if (!TYPES[codec](value)) return `stranger ${++strangers}`;
  try {
    return `${codec} ${CANONICAL[codec](value as never)}`;
  } catch {
    // JSON that cannot be written (a cycle, a bigint, NaN), or is too deep to be compared.
    return `stranger ${++strangers}`;
  }
}

/** Equal for the same cell: the row that a save loads again holds another object. */
export function canonicalOfSealed(sealed: Sealed): string {
  const cell = cellOf(sealed);
  return cell ? `sealed ${Buffer.from(cell).toString('latin1')}` : `stranger ${++strangers}`;
}
