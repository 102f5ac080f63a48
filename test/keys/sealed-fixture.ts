/** A field seal of sealed delivery over a memory source, and cells that somebody tampered with. */
import { cellColumn } from '../../src/cell/column.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { sealCells } from '../../src/cell/seal.js';
import { sealSession } from '../../src/cell/session-key.js';
import type { SealedColumn } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { openBench, PURPOSE, type Bench, type BenchOptions } from './seal-fixture.js';

export const PAN = '4111111111111111';
export const OWNER = { application: 'shop', environment: 'test', purpose: PURPOSE };
const COLUMN = cellColumn({ ...OWNER, entity: 'cards', field: 'pan', codec: 'string', pad: 0, bound: false });
/** Offsets in a sealed cell: fingerprint, encapsulated key, session key, nonce and text. */
export const [FINGERPRINT_AT, POINT_AT, SESSION_AT, NONCE_AT] = [2, 18, 83, 131];

export const openSealed = (
  delivery: PurposeOptions['delivery'] = 'sealed',
  purpose: PurposeOptions = {},
  options: BenchOptions = {},
): Promise<Bench> =>
  openBench({ purposes: { [PURPOSE]: { pool: { validKeys: 3 }, ...purpose, delivery } }, ...options });

/** The rows of one statement, sealed as an ORM does it. */
export async function sealAll({ seal, pan }: Bench, values: readonly unknown[]): Promise<SealedColumn> {
  const rows = [{ column: pan, values }];
  const prepared = await seal.prepare(rows);
  try {
    return seal.sealRows(rows, prepared)[0]!;
  } finally {
    prepared.close();
  }
}

export const headersOf = ({ cells }: SealedColumn) =>
  new Set(cells.map((cell) => cell!.subarray(POINT_AT, NONCE_AT).toString('hex')));

export function flipped(cell: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(cell);
  copy[at]! ^= 1;
  return copy;
}

/** A cell that anybody with the public key can make. */
export function forgedCell(publicKey: PublicKey, value: string, owner = OWNER): Buffer {
  const key = sealSession(PublicKey.parse(publicKey.spki, owner), owner);
  return sealCells('aes-256-siv', COLUMN, [value], [key]).cells[0]!;
}
