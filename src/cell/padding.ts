/** Padding that hides lengths: one byte 0x80, then zeros (ISO/IEC 7816-4). */

const PAD_START = 0x80;

/** Bytes of a text of `length` bytes padded to a multiple of `pad`; 0: not padded. */
export function paddedLength(length: number, pad: number): number {
  return pad === 0 ? length : length + pad - (length % pad);
}

/** Pads in place; the bytes behind the text are zero. */
export function writePadding(bytes: Uint8Array, end: number): void {
  bytes[end] = PAD_START;
}

/** Where the text between `start` and `end` ends without its padding; -1 when it has none. */
export function unpaddedEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end - 1;
  while (at >= start && bytes[at] === 0) at -= 1;
  return at >= start && bytes[at] === PAD_START ? at : -1;
}
