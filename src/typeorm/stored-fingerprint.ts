/** Fingerprints as their column has them: UUIDs where the database knows that type, else 16 bytes. */
import { FINGERPRINT_BYTES, fingerprintBytes, formatFingerprint } from '../cell/fingerprint.js';
import type { ColumnMetadata } from './internals.js';
import { asCell } from './stored-cell.js';

export const storedFingerprint = (key: ColumnMetadata, fingerprint: string): string | Buffer =>
  key.type === 'uuid' ? fingerprint : fingerprintBytes(fingerprint);

/** What a row holds, as UUID text; whatever is no fingerprint becomes a text that no key has. */
export function readFingerprint(stored: unknown): string | null | undefined {
  if (stored === null || stored === undefined || typeof stored === 'string') return stored;
  const bytes = asCell(stored);
  return bytes?.length === FINGERPRINT_BYTES ? formatFingerprint(bytes, 0) : '';
}
