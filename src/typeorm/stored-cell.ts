/** Bytes as raw rows have them: those of a driver, or JSON of the query result cache. */
import { isUint8Array } from 'node:util/types';

const NOT_A_CELL = Buffer.alloc(0);

/** A cell as bytes. Whatever is no cell is given on as one that cannot be opened. */
export function asCell(value: unknown): Uint8Array | null {
  if (value === null || value === undefined) return null;
  if (isUint8Array(value)) return value;
  if (typeof value !== 'object') return NOT_A_CELL;
  // The query result cache keeps rows as JSON: of a Buffer `{ type, data }`, of other byte arrays `{ 0: …, 1: … }`.
  const json = value as { readonly type?: unknown; readonly data?: unknown };
  const isBuffer = json.type === 'Buffer' && Array.isArray(json.data);
  return Buffer.from((isBuffer ? json.data : Object.values(json)) as number[]);
}
