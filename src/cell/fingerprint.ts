/** Fingerprints as 16 bytes and as UUID text. */

export const FINGERPRINT_BYTES = 16;
const UUID_GROUPS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

interface Known {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** By first byte the fingerprint that was formatted last: a process reads under few keys, again and again. */
const lately: (Known | undefined)[] = new Array<Known | undefined>(256).fill(undefined);

/** UUID text, lower case, of the 16 bytes at `at`. */
export function formatFingerprint(bytes: Uint8Array, at: number): string {
  let known = lately[bytes[at]!];
  if (known === undefined || !isSame(known.bytes, bytes, at)) {
    const copy = Uint8Array.from(bytes.subarray(at, at + FINGERPRINT_BYTES));
    const hex = Buffer.from(copy.buffer).toString('hex');
    known = { bytes: copy, text: hex.replace(UUID_GROUPS, '$1-$2-$3-$4-$5') };
    lately[bytes[at]!] = known;
  }
  return known.text;
}

function isSame(known: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < FINGERPRINT_BYTES; i++) if (known[i] !== bytes[at + i]) return false;
  return true;
}

/** The 16 bytes of a fingerprint that {@link formatFingerprint} wrote. */
export function fingerprintBytes(fingerprint: string): Buffer {
  return Buffer.from(fingerprint.replaceAll('-', ''), 'hex');
}
