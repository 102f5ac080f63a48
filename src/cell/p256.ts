/** Public keys on the curve P-256: bare points and SubjectPublicKeyInfo (RFC 5480), one from the other. */

/** As OpenSSL names it. */
export const P256_CURVE = 'prime256v1';

/** The byte 0x04 and two coordinates (SEC 1, 2.3.3). */
export const POINT_BYTES = 65;
const UNCOMPRESSED = 0x04;

/** The DER of every P-256 key before its point: id-ecPublicKey, prime256v1, a bit string of 66 bytes. */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** Undefined for a compressed or hybrid point, which OpenSSL would take as well: one key has one form. */
export function spkiOf(point: Uint8Array): Buffer | undefined {
  return isUncompressed(point) ? Buffer.concat([SPKI_PREFIX, point]) : undefined;
}

/** The point, a view; undefined for a key of another kind or in another encoding. Whether it is on the curve is not looked at. */
export function pointOf(spki: Uint8Array): Uint8Array | undefined {
  const point = spki.subarray(SPKI_PREFIX.length);
  const isP256 = SPKI_PREFIX.equals(spki.subarray(0, SPKI_PREFIX.length));
  return isP256 && isUncompressed(point) ? point : undefined;
}

function isUncompressed(point: Uint8Array): boolean {
  return point.length === POINT_BYTES && point[0] === UNCOMPRESSED;
}
