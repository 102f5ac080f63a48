/** What a cell carries between fingerprint and nonce: how whoever opens it comes by its key. One layout per delivery. */
import { createHash } from 'node:crypto';
import { FormatError } from '../errors.js';
import { HEADER_BYTES } from './header.js';

/** How the key of a cell is delivered to whoever opens it. */
export type Delivery = 'pool' | 'envelope' | 'sealed';

/** A DEK wrapped by a KEK, as its cells carry it. */
export interface EnvelopeParts {
  /** What {@link kekRefOf} gives for the KEK. */
  readonly kekRef: Uint8Array;
  /** 1 to 6,144 bytes. */
  readonly wrapped: Uint8Array;
}

/** A session key sealed to a key pair, as its cells carry it. */
export interface SealedParts {
  /** Encapsulated key of HPKE: 65 bytes, an uncompressed point. */
  readonly encapsulated: Uint8Array;
  /** 48 bytes: the session key and a tag. */
  readonly sessionKey: Uint8Array;
}

export type DeliveryHeader =
  | { readonly delivery: 'pool' }
  | ({ readonly delivery: 'envelope' } & EnvelopeParts)
  | ({ readonly delivery: 'sealed' } & SealedParts);

/** How one delivery lays out its header. */
export interface DeliveryLayout {
  readonly delivery: Delivery;
  /** High nibble of byte 1. */
  readonly nibble: number;
  /** Bytes of the header that begins at offset 18; undefined when it is malformed. */
  headerBytes(cell: Uint8Array): number | undefined;
  /** The parts, as views. @param header what `headerBytes` measured. */
  parse(header: Uint8Array): DeliveryHeader;
}

const KEK_REF_BYTES = 8;
const WRAP_LENGTH_BYTES = 2;
const WRAPPED_AT = KEK_REF_BYTES + WRAP_LENGTH_BYTES;
const MAX_WRAPPED_BYTES = 6144;
const ENCAPSULATED_BYTES = 65;
const UNCOMPRESSED_POINT = 0x04; // SEC 1, 2.3.3
const SESSION_KEY_BYTES = 48;
const NO_HEADER = Buffer.alloc(0);

export const DELIVERIES: readonly DeliveryLayout[] = [
  { delivery: 'pool', nibble: 0, headerBytes: () => 0, parse: () => ({ delivery: 'pool' }) },
  {
    delivery: 'envelope',
    nibble: 1,
    headerBytes(cell) {
      const at = HEADER_BYTES + KEK_REF_BYTES;
      if (cell.length < at + WRAP_LENGTH_BYTES) return undefined;
      const wrapped = (cell[at]! << 8) | cell[at + 1]!;
      return isWrapLength(wrapped) ? WRAPPED_AT + wrapped : undefined;
    },
    parse: (header) => ({
      delivery: 'envelope',
      kekRef: header.subarray(0, KEK_REF_BYTES),
      wrapped: header.subarray(WRAPPED_AT),
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

/**
 * The bytes of a header; what `parse` of its layout takes apart again.
 * @throws FormatError `ERR_FORMAT_CELL` when a part has not its size, or the encapsulated key is no uncompressed point
 */
export function encodeHeader(header: DeliveryHeader): Buffer {
  if (header.delivery === 'pool') return NO_HEADER;
  return header.delivery === 'sealed' ? encodeSealed(header) : encodeEnvelope(header);
}

/** Which KEK wrapped the key of an envelope cell: the first 8 bytes of SHA-256 of the KEK's name, in AWS KMS its ARN. */
export function kekRefOf(kekName: string): Buffer {
  return createHash('sha256').update(kekName, 'utf8').digest().subarray(0, KEK_REF_BYTES);
}

function encodeEnvelope({ kekRef, wrapped }: EnvelopeParts): Buffer {
  if (kekRef.length !== KEK_REF_BYTES || !isWrapLength(wrapped.length)) {
    throw new FormatError(
      'ERR_FORMAT_CELL',
      `Expected a KEK reference of ${KEK_REF_BYTES} bytes and a wrapped key of 1 to ${MAX_WRAPPED_BYTES}, ` +
        `got ${kekRef.length} and ${wrapped.length}; look at what the KMS returned.`,
    );
  }
  const length = Buffer.alloc(WRAP_LENGTH_BYTES);
  length.writeUInt16BE(wrapped.length);
  return Buffer.concat([kekRef, length, wrapped]);
}

function encodeSealed({ encapsulated, sessionKey }: SealedParts): Buffer {
  const isPoint = encapsulated.length === ENCAPSULATED_BYTES && encapsulated[0] === UNCOMPRESSED_POINT;
  if (!isPoint || sessionKey.length !== SESSION_KEY_BYTES) {
    throw new FormatError(
      'ERR_FORMAT_CELL',
      `Expected an uncompressed point of ${ENCAPSULATED_BYTES} bytes and a sealed session key of ${SESSION_KEY_BYTES}, ` +
        `got ${encapsulated.length} and ${sessionKey.length} bytes; seal a session key of 32 bytes with a P-256 key.`,
    );
  }
  return Buffer.concat([encapsulated, sessionKey]);
}

const isWrapLength = (bytes: number): boolean => bytes >= 1 && bytes <= MAX_WRAPPED_BYTES;
