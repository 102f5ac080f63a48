/** Bound values: what ties a cell to other values of its row. */
import { isUint8Array } from 'node:util/types';
import { SealError } from '../errors.js';
import { lengthPrefixed } from './length-prefix.js';
import { isWellFormed } from './well-formed.js';

/** What a bound database column holds; decides the bytes that are bound. */
export type BoundKind = 'text' | 'uuid' | 'integer' | 'boolean' | 'binary';

/** One bound property of a row. */
export interface BoundValue {
  readonly name: string;
  readonly kind: BoundKind;
  /** As hydration gives it. */
  readonly value: unknown;
}

/** The bytes of a bound value; undefined when the value is not of the kind. */
type Encode = (value: unknown) => string | Uint8Array | undefined;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const INTEGER = /^[+-]?[0-9]{1,64}$/;

const KINDS: ReadonlyMap<string, { readonly expected: string; readonly encode: Encode }> = new Map<
  BoundKind,
  { readonly expected: string; readonly encode: Encode }
>([
  [
    'text',
    {
      expected: 'a well-formed string',
      encode: (value) => (typeof value === 'string' && isWellFormed(value) ? value : undefined),
    },
  ],
  [
    'uuid',
    {
      expected: 'a UUID with dashes',
      encode: (value) =>
        typeof value === 'string' && UUID.test(value)
          ? Buffer.from(value.replaceAll('-', ''), 'hex')
          : undefined,
    },
  ],
  ['integer', { expected: 'an integer (a number only where it is safe)', encode: encodeInteger }],
  [
    'boolean',
    {
      expected: 'a boolean',
      encode: (value) => (typeof value === 'boolean' ? Uint8Array.of(value ? 1 : 0) : undefined),
    },
  ],
  [
    'binary',
    { expected: 'a Buffer or Uint8Array', encode: (value) => (isUint8Array(value) ? value : undefined) },
  ],
]);

/**
 * The bytes that bind a cell to these values: sorted by name, each name and value with its length before it.
 * @throws SealError `ERR_SEAL_BINDING` when there is none, a name comes twice, or a value is missing, null, or not of
 * its kind
 */
export function encodeBinding(bound: readonly BoundValue[]): Buffer {
  if (bound.length === 0)
    throw new SealError('ERR_SEAL_BINDING', 'Expected at least one bound value, got none.');
  if (bound.length === 1) return lengthPrefixed(bound[0]!.name, encodeValue(bound[0]!));
  const sorted = [...bound].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  sorted.forEach(({ name }, i) => {
    if (name === sorted[i + 1]?.name)
      throw new SealError('ERR_SEAL_BINDING', `Bound value ${name}: named twice.`);
  });
  return lengthPrefixed(...sorted.flatMap((value) => [value.name, encodeValue(value)]));
}

function encodeValue({ name, kind, value }: BoundValue): string | Uint8Array {
  const entry = KINDS.get(kind);
  const encoded = isWellFormed(name) ? entry?.encode(value) : undefined;
  if (encoded !== undefined) return encoded;
  const got = value === null ? 'null' : typeof value;
  throw new SealError(
    'ERR_SEAL_BINDING',
    `Bound value ${name}: expected ${entry?.expected ?? 'a known kind'}, got ${got}; ` +
      `a bound value must be there, and of its column's type, whenever the cell is sealed or opened.`,
  );
}

/** The same digits however the driver hands the integer over: minimal, no plus, no minus before 0. */
function encodeInteger(value: unknown): string | undefined {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? (value === 0 ? '0' : value.toString()) : undefined;
  return typeof value === 'string' && INTEGER.test(value)
    ? BigInt(value.replace(/^\+/, '')).toString()
    : undefined;
}
