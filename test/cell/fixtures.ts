/** Keys, columns and short forms that the tests of the cell folder share. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import process from 'node:process';
import type { FieldSealError } from '../../src/errors.js';
import { isFieldSealError } from '../../src/errors.js';
import { type CellColumn, cellColumn } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { kekRefOf } from '../../src/cell/delivery-header.js';
import type { Delivery } from '../../src/cell/format.js';
import { type PairOwner, PrivateKey, PublicKey } from '../../src/cell/key-pair.js';
import {
  type Accepted,
  beginOpening,
  openCells as openGroup,
  type Opening,
  type OpenOptions,
} from '../../src/cell/open.js';
import { sealCells } from '../../src/cell/seal.js';
import { sealSession } from '../../src/cell/session-key.js';
import type { Suite } from '../../src/cell/suites.js';

export const SUITE_NAMES: readonly Suite[] = ['aes-256-siv', 'xaes-256-gcm'];
export const OWNER = { application: 'shop', purpose: 'card-number' };

export const ALL_DELIVERIES: readonly Delivery[] = ['pool', 'envelope', 'sealed'];

/** Whatever their delivery, cells of one suite. */
export const accepting = (suite: Suite): Accepted => ({ suites: [suite], deliveries: ALL_DELIVERIES });

/** FIELDSEAL_TEST_RUNS=1000 makes every property and differential test that much longer. */
export function runs(count: number): number {
  return count * Number(process.env['FIELDSEAL_TEST_RUNS'] ?? 1);
}

export function someKey(root: Buffer = randomBytes(32)): DataKey {
  return DataKey.derive(Buffer.from(root), OWNER);
}

/** A key for cells that carry its root, wrapped. The wrap is any bytes: no cell is opened by it here. */
export function someEnvelopeKey(root: Buffer = randomBytes(32), wrapped: Buffer = randomBytes(184)): DataKey {
  return DataKey.deriveEnvelope(Buffer.from(root), OWNER, { kekRef: kekRefOf('some KEK'), wrapped });
}

export interface Pair {
  readonly privateKey: PrivateKey;
  readonly publicKey: PublicKey;
}

export function somePair(owner: PairOwner = { ...OWNER, environment: 'test' }): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    privateKey: PrivateKey.parse(privateKey.export({ format: 'der', type: 'pkcs8' }), owner),
    publicKey: PublicKey.parse(publicKey.export({ format: 'der', type: 'spki' }), owner),
  };
}

/** One key of each delivery, anew at each call. */
export const KEY_OF: Readonly<Record<Delivery, () => DataKey>> = {
  pool: () => someKey(),
  envelope: () => someEnvelopeKey(),
  sealed: () => sealSession(somePair().publicKey, OWNER),
};

export function someColumn(parts: Partial<CellColumn> = {}): CellColumn {
  return cellColumn({
    application: 'shop',
    environment: 'test',
    purpose: 'card-number',
    entity: 'cards',
    field: 'pan',
    codec: 'string',
    pad: 0,
    bound: false,
    ...parts,
  });
}

export interface Sealing {
  readonly column?: CellColumn;
  readonly key: DataKey;
  readonly suite?: Suite;
  readonly binding?: Uint8Array;
}

export function sealOne(
  value: unknown,
  { column = someColumn(), key, suite = 'aes-256-siv', binding }: Sealing,
): Buffer {
  const { cells } = sealCells(suite, column, [value], [key], binding && [binding]);
  const [cell] = cells;
  if (!cell) throw new Error('expected a cell');
  return cell;
}

/** Opens cells of one column, each under the key that is given for it, whatever key the cell names. */
export function openCells(
  column: CellColumn,
  cells: readonly (Uint8Array | null | undefined)[],
  keys: readonly (DataKey | undefined)[],
  options: OpenOptions,
): Pick<Opening, 'values' | 'failures'> {
  const groups = new CellGroups<Opening>();
  const opening = beginOpening(groups, column, cells, options);
  for (const key of new Set(keys)) {
    if (!key) continue;
    for (const group of groups.all) {
      const parts = group.parts.map(({ of, rows }) => ({
        of,
        rows: rows.filter((row) => keys[row] === key),
      }));
      openGroup(key, { ...group, parts });
    }
  }
  return { values: opening.values, failures: opening.failures };
}

/** The value, or the error of its row. */
export function openOne(
  cell: Uint8Array,
  { column = someColumn(), key, suite = 'aes-256-siv', binding }: Sealing,
  fingerprint?: string | null,
): unknown {
  const options = {
    accept: accepting(suite),
    ...(binding && { bindings: [binding] }),
    fingerprints: [fingerprint],
  };
  const { values, failures } = openCells(column, [cell], [key], options);
  return failures?.get(0) ?? values[0];
}

/** What `work` throws, which must be a coded error. */
export function thrownBy(work: () => unknown): FieldSealError {
  try {
    work();
  } catch (error) {
    if (isFieldSealError(error)) return error;
    throw error;
  }
  throw new Error('expected it to throw');
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}
