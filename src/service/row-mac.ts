/** Binds every column of a key-store row, and its wraps, under the store key. */
import { timingSafeEqual } from 'node:crypto';
import type { StoreKey } from '../cell/store-key.js';
import type { KeyRecord, Wrap } from '../keys/ports.js';
import { canonicalBytes, type CanonicalValue } from './canonical-encoding.js';

type BoundColumn = Exclude<keyof KeyRecord, 'rowMac' | 'wraps'>;
type BoundWrapColumn = keyof Wrap;

// Records instead of lists: a column added to the types does not compile until it is bound here.
const ROW_COLUMNS = namesOf<BoundColumn>({
  application: true,
  environment: true,
  purpose: true,
  fingerprint: true,
  kind: true,
  version: true,
  state: true,
  stateBefore: true,
  commitment: true,
  publicKey: true,
  created: true,
  activates: true,
  retires: true,
  destroysAfter: true,
  cells: true,
  bytes: true,
  prefixes: true,
  revision: true,
});
const WRAP_COLUMNS = namesOf<BoundWrapColumn>({
  kek: true,
  keyMaterialId: true,
  wrapId: true,
  wrapped: true,
  created: true,
});

/** HMAC-SHA-256 over all columns and wraps of a row; wraps may come in any order. */
export function rowMac(key: StoreKey, row: Omit<KeyRecord, 'rowMac'>): Buffer {
  return key.mac(encodeRow(row));
}

/** Whether the row is as the last holder of the store key wrote it. Compares in constant time. */
export function rowIsGenuine(key: StoreKey, row: KeyRecord): boolean {
  const expected = rowMac(key, row);
  return row.rowMac.length === expected.length && timingSafeEqual(row.rowMac, expected);
}

/** The authenticated bytes of a row. Injective. */
export function encodeRow(row: Omit<KeyRecord, 'rowMac'>): Buffer {
  const columns = ROW_COLUMNS.map((name): CanonicalValue => [name, row[name]]);
  const wraps = [...row.wraps]
    .sort((a, b) => (a.wrapId < b.wrapId ? -1 : 1))
    .map((wrap): CanonicalValue => WRAP_COLUMNS.map((name): CanonicalValue => [name, wrap[name]]));
  return canonicalBytes('fieldseal/v1/row', [columns, wraps]);
}

function namesOf<Name extends string>(names: Readonly<Record<Name, true>>): readonly Name[] {
  return (Object.keys(names) as Name[]).sort();
}
