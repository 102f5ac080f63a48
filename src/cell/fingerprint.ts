/** Fingerprints as 16 bytes and as UUID text. */

export const FINGERPRINT_BYTES = 16;

/** UUID text, lower case, of the 16 bytes at `at`. */
export function formatFingerprint(bytes: Uint8Array, at: number): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + at, FINGERPRINT_BYTES).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The 16 bytes of a fingerprint that {@link formatFingerprint} wrote. */
export function fingerprintBytes(fingerprint: string): Buffer {
  return Buffer.from(fingerprint.replaceAll('-', ''), 'hex');
}
