/**
 * The bytes of a cell:
 * marker 0xF5, byte 1 (suite, padding, delivery), fingerprint 16, delivery header, nonce, body.
 */
import { FormatError } from '../errors.js';
import {
  DELIVERIES,
  type Delivery,
  type DeliveryHeader,
  type DeliveryLayout,
  encodeHeader,
} from './delivery-header.js';
import { formatFingerprint } from './fingerprint.js';
import { FINGERPRINT_AT, HEADER_BYTES, MARKER } from './header.js';
import { SUITES, type SuiteEntry, TAG_BYTES } from './suites.js';

export type { Delivery, DeliveryHeader } from './delivery-header.js';

const PADDED_BIT = 0x08;
const SUITE_BITS = 0x07;
/** Byte 1 of cells of other systems, which only import jobs open. */
const FIRST_FOREIGN = 0xf0;

/** What byte 1 says. */
export interface ByteOne {
  readonly byte: number;
  readonly suite: SuiteEntry;
  readonly padded: boolean;
  readonly delivery: Delivery;
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

/** Every byte 1 that is known, by its value. */
const BYTE_ONES: readonly (ByteOne | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const layout = DELIVERIES.find(({ nibble }) => nibble === byte >> 4);
  const suite = SUITES.find(({ id }) => id === (byte & SUITE_BITS));
  if (!layout || !suite) return undefined;
  return { byte, suite, padded: (byte & PADDED_BIT) !== 0, delivery: layout.delivery, layout };
});

/** Byte 1 of cells of a suite and delivery. */
export function byteOneFor(suite: SuiteEntry, padded: boolean, delivery: Delivery): number {
  const { nibble } = DELIVERIES.find((layout) => layout.delivery === delivery)!;
  return (nibble << 4) | (padded ? PADDED_BIT : 0) | suite.id;
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

/** Where the delivery header of a cell ends, and its nonce begins. Pool cells, which most are, have none. */
export function headerEnd(cell: Uint8Array, { delivery, layout }: ByteOne): number {
  return delivery === 'pool' ? HEADER_BYTES : HEADER_BYTES + layout.headerBytes(cell)!;
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
  const nonceAt = headerEnd(cell, byteOne);
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
  const whole = fits && headerEnd(cell, known) + nonce.length + body.length === cell.length;
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
