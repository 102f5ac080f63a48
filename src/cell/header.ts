/** The first 18 bytes of every cell: marker, byte 1, fingerprint. */
import { FINGERPRINT_BYTES } from './fingerprint.js';

/** Tells a cell from anything else in a binary column. */
export const MARKER = 0xf5;
/** Marker, byte 1 and fingerprint. */
export const HEADER_BYTES = 2 + FINGERPRINT_BYTES;
/** Where the fingerprint begins. */
export const FINGERPRINT_AT = 2;
