/**
 * The bytes of a cell:
 * marker 0xF5, byte 1 (suite, padding, delivery), fingerprint 16, delivery header, nonce, body.
 */
import { FormatError } from '../errors.js';
import { formatFingerprint } from './fingerprint.js';
import { FINGERPRINT_AT, HEADER_BYTES, MARKER } from './header.js';
import { SUITES, type SuiteEntry, TAG_BYTES } from './suites.js';

const PADDED_BIT = 0x08;
const SUITE_BITS = 0x07;
/** Byte 1 of cells of other systems, which only import jobs open. */
const FIRST_FOREIGN = 0xf0;

const KEK_REF_BYTES = 8;
const WRAP_LENGTH_BYTES = 2;
const MAX_WRAPPED_BYTES = 6144;
const ENCAPSULATED_BYTES = 65;
const UNCOMPRESSED_POINT = 0x04; // SEC 1, 2.3.3
const SESSION_KEY_BYTES = 48;

export type DeliveryHeader =
  | { readonly delivery: 'pool' }
  | { readonly delivery: 'envelope'; readonly kekRef: Uint8Array; readonly wrapped: Uint8Array }
  | { readonly delivery: 'sealed'; readonly encapsulated: Uint8Array; readonly sessionKey: Uint8Array };

/** What byte 1 says. */
export interface ByteOne {
  readonly byte: number;
  readonly suite: SuiteEntry;
  readonly padded: boolean;
  readonly delivery: DeliveryHeader['delivery'];
  readonly layout: DeliveryLayout;
}

/** A cell in its parts; views, not copies. `body` is what the suite makes of it behind the nonce. */
export interface CellParts {
  readonly byteOne: number;
  readonly fingerprint: Uint8Array;
  readonly header: DeliveryHeader;
  readonly nonce: Uint8Array;
  readonly body: Uint8Array;
}

/** How one delivery lays out its header. */
interface DeliveryLayout {
  readonly delivery: DeliveryHeader['delivery'];
  /** High nibble of byte 1. */
  readonly nibble: number;
  /** Bytes of the header that begins at offset 18; undefined when it is malformed. */
  headerBytes(cell: Uint8Array): number | undefined;
  parse(header: Uint8Array): DeliveryHeader;
}

const DELIVERIES: readonly DeliveryLayout[] = [
  { delivery: 'pool', nibble: 0, headerBytes: () => 0, parse: () => ({ delivery: 'pool' }) },
  {
    delivery: 'envelope',
    nibble: 1,
    headerBytes(cell) {
      const at = HEADER_BYTES + KEK_REF_BYTES;
      if (cell.length < at + WRAP_LENGTH_BYTES) return undefined;
      const wrapped = (cell[at]! << 8) | cell[at + 1]!;
      return wrapped <= MAX_WRAPPED_BYTES ? KEK_REF_BYTES + WRAP_LENGTH_BYTES + wrapped : undefined;
    },
    parse: (header) => ({
      delivery: 'envelope',
      kekRef: header.subarray(0, KEK_REF_BYTES),
      wrapped: header.subarray(KEK_REF_BYTES + WRAP_LENGTH_BYTES),
    }),
  },
  {
    delivery: 'sealed',
    nibble: 2,
    headerBytes: (cell) =>
      cell[HEADER_BYTES] === UNCOMPRESSED_POINT ? ENCAPSULATED_BYTES + SESSION_KEY_BYTES : undefined,
    parse: (header) => ({
      delivery: 'sealed',
      encapsulated: header.subarray(0, ENCAPSULATED_BYTES),
      sessionKey: header.subarray(ENCAPSULATED_BYTES),
    }),
  },
];

/** Every byte 1 that is known, by its value. */
const BYTE_ONES: readonly (ByteOne | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const layout = DELIVERIES.find(({ nibble }) => nibble === byte >> 4);
  const suite = SUITES.find(({ id }) => id === (byte & SUITE_BITS));
  if (!layout || !suite) return undefined;
  return { byte, suite, padded: (byte & PADDED_BIT) !== 0, delivery: layout.delivery, layout };
});

/** Byte 1 for pool cells of a suite. */
export function poolByteOne(suite: SuiteEntry, padded: boolean): number {
  return suite.id | (padded ? PADDED_BIT : 0);
}

/** What byte 1 says of a cell that has all its parts; undefined when the cell is malformed. Costs nothing. */
export function byteOneOf(cell: Uint8Array): ByteOne | undefined {
  if (cell.length < HEADER_BYTES || cell[0] !== MARKER) return undefined;
  const byteOne = BYTE_ONES[cell[1]!];
  if (!byteOne) return undefined;
  const header = byteOne.layout.headerBytes(cell);
  if (header === undefined) return undefined;
  return cell.length >= HEADER_BYTES + header + byteOne.suite.nonceBytes + TAG_BYTES ? byteOne : undefined;
}

/**
 * Fingerprint of the key that sealed the cell, as a UUID in lower case. Not authenticated before the cell is opened.
 * @throws FormatError `ERR_FORMAT_CELL`
 */
export function fingerprintOf(cell: Uint8Array): string {
  if (!byteOneOf(cell)) throw malformed(cell);
  return formatFingerprint(cell, FINGERPRINT_AT);
}

/** @throws FormatError `ERR_FORMAT_CELL` */
export function parseCell(cell: Uint8Array): CellParts {
  const byteOne = byteOneOf(cell);
  if (!byteOne) throw malformed(cell);
  const nonceAt = HEADER_BYTES + byteOne.layout.headerBytes(cell)!;
  const bodyAt = nonceAt + byteOne.suite.nonceBytes;
  return {
    byteOne: byteOne.byte,
    fingerprint: cell.subarray(FINGERPRINT_AT, HEADER_BYTES),
    header: byteOne.layout.parse(cell.subarray(HEADER_BYTES, nonceAt)),
    nonce: cell.subarray(nonceAt, bodyAt),
    body: cell.subarray(bodyAt),
  };
}

/**
 * The cell of these parts; what {@link parseCell} takes apart again.
 * @throws FormatError `ERR_FORMAT_CELL` when the parts do not make a cell
 */
export function encodeCell(parts: CellParts): Buffer {
  const { byteOne, fingerprint, header, nonce, body } = parts;
  const cell = Buffer.concat([Buffer.of(MARKER, byteOne), fingerprint, encodeHeader(header), nonce, body]);
  const known = byteOneOf(cell);
  const fits = known?.delivery === header.delivery && nonce.length === known.suite.nonceBytes;
  const whole =
    fits && HEADER_BYTES + known.layout.headerBytes(cell)! + nonce.length + body.length === cell.length;
  if (!whole) throw malformed(cell);
  return cell;
}

/** Why `byteOneOf` is undefined, in words. */
export function malformed(cell: Uint8Array): FormatError {
  const got =
    cell[0] !== MARKER
      ? `${cell.length} bytes that do not begin with the marker`
      : cell[1]! >= FIRST_FOREIGN
        ? `${cell.length} bytes of a foreign format, which only import jobs open`
        : `${cell.length} bytes that are too short or of an unknown suite or delivery`;
  return new FormatError(
    'ERR_FORMAT_CELL',
    `Expected a cell, got ${got}; look for plaintext or a cut-off column.`,
  );
}

function encodeHeader(header: DeliveryHeader): Uint8Array {
  if (header.delivery === 'pool') return new Uint8Array(0);
  if (header.delivery === 'sealed') return Buffer.concat([header.encapsulated, header.sessionKey]);
  const length = Buffer.alloc(WRAP_LENGTH_BYTES);
  length.writeUInt16BE(header.wrapped.length);
  return Buffer.concat([header.kekRef, length, header.wrapped]);
}
