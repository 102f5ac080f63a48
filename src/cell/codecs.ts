/** How values become bytes: a table of the seven types. The type is part of the context, never of the bytes. */
import { isDate, isNumberObject, isUint8Array } from 'node:util/types';
import { ConfigError, SealError } from '../errors.js';
import { isWellFormed } from './well-formed.js';

export type CodecName = 'string' | 'number' | 'bigint' | 'boolean' | 'date' | 'json' | 'bytes';

/** Longest encoded value, in bytes, before padding: 16 MiB. */
export const MAX_VALUE_BYTES = 16 * 1024 * 1024;

/** A value after its check: text that will be written as UTF-8, or bytes. */
export type Encoded = string | Uint8Array;

export interface Codec {
  /**
   * @param where entity and field, for messages
   * @throws SealError `ERR_SEAL_TYPE` for another JavaScript type, `ERR_SEAL_VALUE` for a value the codec refuses
   */
  encode(value: unknown, where: string): Encoded;
  /** The same for comparing: equal values give equal bytes. */
  canonical?(value: unknown, where: string): Encoded;
  /** The value of verified bytes; undefined when the bytes are not of this codec. Keeps no reference to `source`. */
  decode(source: Buffer, start: number, end: number): unknown;
}

const LARGEST_DATE_MS = 8.64e15; // ECMA-262, 21.4.1.1
const TWO_TO_32 = 2 ** 32;
const DECIMAL = /^(?:0|-?[1-9][0-9]*)$/;
/** `JSON.stringify` escapes lone surrogates, and only those: an escape is one after an even number of backslashes. */
const ESCAPED_SURROGATE = /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/;

const stringCodec: Codec = {
  encode(value, where) {
    if (typeof value !== 'string') throw wrongType(where, 'a string', value);
    return value;
  },
  decode: decodeText,
};

const numberCodec: Codec = {
  encode(value, where) {
    if (typeof value !== 'number') throw wrongType(where, 'a number', value);
    if (Number.isNaN(value)) throw refused(where, 'a number', 'NaN');
    const out = Buffer.alloc(8);
    out.writeDoubleBE(value === 0 ? 0 : value); // -0 is 0
    return out;
  },
  decode(source, start, end) {
    if (end - start !== 8) return undefined;
    const value = source.readDoubleBE(start);
    return Number.isNaN(value) ? undefined : value;
  },
};

const bigintCodec: Codec = {
  encode(value, where) {
    if (typeof value !== 'bigint') throw wrongType(where, 'a bigint', value);
    return value.toString();
  },
  decode(source, start, end) {
    const text = source.toString('latin1', start, end);
    return DECIMAL.test(text) ? BigInt(text) : undefined;
  },
};

const booleanCodec: Codec = {
  encode(value, where) {
    if (typeof value !== 'boolean') throw wrongType(where, 'a boolean', value);
    return Buffer.alloc(1, value ? 1 : 0);
  },
  decode(source, start, end) {
    if (end - start !== 1 || source[start]! > 1) return undefined;
    return source[start] === 1;
  },
};

const dateCodec: Codec = {
  encode(value, where) {
    if (!isDate(value)) throw wrongType(where, 'a Date', value);
    const ms = Date.prototype.getTime.call(value);
    if (Number.isNaN(ms)) throw refused(where, 'a Date', 'an invalid Date');
    const out = Buffer.alloc(8);
    out.writeInt32BE(Math.floor(ms / TWO_TO_32), 0);
    out.writeUInt32BE(ms - Math.floor(ms / TWO_TO_32) * TWO_TO_32, 4);
    return out;
  },
  decode(source, start, end) {
    if (end - start !== 8) return undefined;
    const ms = source.readInt32BE(start) * TWO_TO_32 + source.readUInt32BE(start + 4);
    return Math.abs(ms) <= LARGEST_DATE_MS ? new Date(ms) : undefined;
  },
};

/** Levels of JSON whose keys are sorted: by recursion, whose stack ends at some thousand. */
const MAX_DEPTH = 1_000;

const jsonCodec: Codec = {
  encode: stringify,
  canonical(value, where) {
    return JSON.stringify(sortKeys(JSON.parse(stringify(value, where)), where, MAX_DEPTH));
  },
  decode(source, start, end) {
    const text = decodeText(source, start, end);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined; // the parser's message quotes the text
    }
  },
};

const bytesCodec: Codec = {
  encode(value, where) {
    if (!isUint8Array(value)) throw wrongType(where, 'a Buffer or Uint8Array', value);
    return value;
  },
  decode(source, start, end) {
    // Memory of its own: through `.buffer` a view would show the other values of the page.
    const out = Buffer.allocUnsafeSlow(end - start);
    source.copy(out, 0, start, end);
    return out;
  },
};

const CODECS: ReadonlyMap<string, Codec> = new Map<CodecName, Codec>([
  ['string', stringCodec],
  ['number', numberCodec],
  ['bigint', bigintCodec],
  ['boolean', booleanCodec],
  ['date', dateCodec],
  ['json', jsonCodec],
  ['bytes', bytesCodec],
]);

/** The codec of a column that was checked. */
export const knownCodec = (name: CodecName): Codec => CODECS.get(name)!;

/** @throws ConfigError `ERR_CONFIG_FIELD` when there is no such codec */
export function codecOf(name: string, where: string): Codec {
  const codec = CODECS.get(name);
  if (codec) return codec;
  const known = [...CODECS.keys()].join(', ');
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${where}: expected a type out of ${known}; got another ${typeof name}.`,
  );
}

/**
 * Bytes that are equal exactly for equal values: keys of objects sorted. For comparing and indexing, not for sealing.
 * @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE`
 */
export function canonicalBytes(name: CodecName, value: unknown, where: string): Buffer {
  const codec = codecOf(name, where);
  const encoded = (codec.canonical ?? codec.encode)(value, where);
  if (typeof encoded === 'string') {
    checkText(encoded, where);
    return Buffer.from(encoded);
  }
  return Buffer.from(encoded);
}

/** @throws SealError `ERR_SEAL_VALUE` for a lone surrogate, whose UTF-8 would open as another string */
export function checkText(text: string, where: string): void {
  if (!isWellFormed(text)) throw refused(where, 'well-formed Unicode', 'a string with a lone surrogate');
}

function decodeText(source: Buffer, start: number, end: number): string | undefined {
  // Without an encoding it is UTF-8 as well, and nothing is looked up.
  const text = source.toString(undefined, start, end);
  // The decoder replaces invalid bytes without a word; a replacement character that was sealed encodes to the same.
  if (text.includes('\uFFFD') && Buffer.compare(Buffer.from(text), source.subarray(start, end)) !== 0)
    return undefined;
  return text;
}

function stringify(value: unknown, where: string): string {
  let text: unknown;
  let lost: Lost | undefined;
  try {
    text = JSON.stringify(value);
    if (typeof text === 'string' && text.includes('null')) lost = lostIn(value);
  } catch {
    // The message of the cause may hold property names or, from a toJSON, anything.
    throw refused(where, 'a value that JSON.stringify takes', `${kindOf(value)} on which it throws`);
  }
  if (typeof text !== 'string') throw wrongType(where, 'a JSON value', value);
  if (lost !== undefined) throw refused(where, lost.expected, lost.got);
  if (ESCAPED_SURROGATE.test(text))
    throw refused(where, 'well-formed Unicode', 'a string with a lone surrogate');
  return text;
}

interface Lost {
  readonly expected: string;
  readonly got: string;
}

const LOST_NUMBER: Lost = { expected: 'finite numbers in JSON', got: 'NaN or an infinite one' };
const LOST_OBJECT: Lost = {
  expected: 'valid dates in JSON',
  got: 'an invalid one, or another object whose toJSON gives null',
};

/** What `JSON.stringify` writes null for, without a word: the value would be gone once it is sealed. */
function lostIn(value: unknown): Lost | undefined {
  let lost: Lost | undefined;
  JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    if (isInfinite(item)) lost = LOST_NUMBER;
    else if (item === null && this[key] !== null) lost = LOST_OBJECT;
    return item;
  });
  return lost;
}

function isInfinite(item: unknown): boolean {
  return typeof item === 'number'
    ? !Number.isFinite(item)
    : isNumberObject(item) && !Number.isFinite(Number(item));
}

function sortKeys(value: unknown, where: string, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) throw refused(where, `JSON of at most ${MAX_DEPTH} levels for an index`, 'more');
  if (Array.isArray(value)) return value.map((item) => sortKeys(item, where, depth - 1));
  const sorted: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    sorted[key] = sortKeys(item, where, depth - 1);
  return sorted;
}

function wrongType(where: string, expected: string, value: unknown): SealError {
  return new SealError(
    'ERR_SEAL_TYPE',
    `${where}: expected ${expected}, got ${kindOf(value)}; convert the value or change the declared type.`,
  );
}

function refused(where: string, expected: string, got: string): SealError {
  return new SealError('ERR_SEAL_VALUE', `${where}: expected ${expected}, got ${got}; correct the value.`);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (isUint8Array(value)) return `${value.length} bytes`;
  return typeof value === 'object' ? (Array.isArray(value) ? 'an array' : 'an object') : typeof value;
}
