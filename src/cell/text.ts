/** Encoded values on their way into working memory. */
import { checkText, type Encoded } from './codecs.js';

/** Up to so many characters a loop is faster than a call into the platform. Measured. */
const SHORT = 48;

/**
 * Bytes of an encoded value.
 * @throws SealError `ERR_SEAL_VALUE` for a string with a lone surrogate
 */
export function sizeOf(encoded: Encoded, where: string): number {
  if (typeof encoded !== 'string') return encoded.length;
  if (isShortAscii(encoded)) return encoded.length;
  const bytes = Buffer.byteLength(encoded);
  if (bytes !== encoded.length) checkText(encoded, where);
  return bytes;
}

/** Writes an encoded value of `size` bytes. */
export function writeText(encoded: Encoded, size: number, to: Buffer, at: number): void {
  if (typeof encoded !== 'string') to.set(encoded, at);
  else if (size === encoded.length && size <= SHORT) {
    for (let i = 0; i < size; i++) to[at + i] = encoded.charCodeAt(i);
  } else to.write(encoded, at, size, 'utf8');
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
