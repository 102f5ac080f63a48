/** Keys that one statement was given before its SQL is made, for deliveries whose keys are not here already. */
import type { DataKey } from '../cell/data-key.js';
import { prepareToSeal } from '../cell/seal.js';
import type { Columns } from './columns.js';
import type { PreparedKeys, ValuesOfColumn } from './field-seal.js';
import type { HeldKey } from './held-key.js';
import type { Pool } from './pool.js';
import type { RecordKeys } from './record-keys.js';
import { inSlices } from './slices.js';

type KeysOfRows = readonly (HeldKey | undefined)[];

/**
 * Leases end with it, and keys that nobody else holds are wiped when `close` returns: at once, not in slices, so that
 * neither the end of the process nor `close()` of the field seal has to wait for some that are left. Closing twice is nothing.
 */
export class StatementKeys implements PreparedKeys {
  #byPurpose: ReadonlyMap<string, KeysOfRows>;

  constructor(byPurpose: ReadonlyMap<string, KeysOfRows>) {
    this.#byPurpose = byPurpose;
  }

  /** What another field seal or an adapter's own object gives is nothing here. */
  static of(prepared: PreparedKeys | undefined): StatementKeys | undefined {
    return prepared !== undefined && #byPurpose in prepared ? prepared : undefined;
  }

  /** By row; undefined where the row had no value of the purpose when it was prepared. */
  keysOf(purpose: string): readonly (DataKey | undefined)[] {
    return (this.#byPurpose.get(purpose) ?? []).map((held) => held?.key);
  }

  close(): void {
    const keys = this.#byPurpose;
    this.#byPurpose = new Map();
    for (const held of keys.values()) for (const key of held) key?.release();
  }
}

/** What keys come from, by purpose: pools, which are drawn from when the values are sealed, and makers of keys. */
export interface KeysToPrepare {
  readonly pools: ReadonlyMap<string, Pick<Pool, 'moreKeys'>>;
  readonly writers: ReadonlyMap<string, RecordKeys>;
}

/**
 * Leases a key for every row and purpose with a value to seal. A pool that has none is waited for, if that may help.
 * @throws what the first purpose throws whose keys cannot be had; then none is leased.
 */
export async function prepareKeys(
  { pools, writers }: KeysToPrepare,
  rows: readonly ValuesOfColumn[],
): Promise<StatementKeys> {
  const counted = [...cellsOfRows(rows)];
  const dry = counted.flatMap(([purpose, cells]) =>
    cells.some((count) => count > 0) ? (pools.get(purpose)?.moreKeys() ?? []) : [],
  );
  if (dry.length > 0) await Promise.all(dry);
  const counts = counted.filter(([purpose]) => writers.has(purpose));
  const leased = await Promise.allSettled(
    counts.map(([purpose, cells]) => writers.get(purpose)!.lease(cells)),
  );
  const keys = leased.map((one) => (one.status === 'fulfilled' ? one.value : []));
  const prepared = new StatementKeys(new Map(counts.map(([purpose], i) => [purpose, keys[i]!])));
  const failed = leased.find((one) => one.status === 'rejected');
  if (failed === undefined) return prepared;
  prepared.close();
  throw failed.reason;
}

/**
 * The same for rows of declared columns, with all made that the first cell under each key needs: sealing is one block of
 * the event loop, this is in slices.
 */
export async function prepareRows(
  parts: KeysToPrepare & { readonly columns: Columns },
  rows: readonly ValuesOfColumn[],
): Promise<StatementKeys> {
  const prepared = await prepareKeys(parts, rows);
  try {
    for (const values of rows)
      if (parts.writers.has(values.column.purpose)) await prepareColumn(parts.columns, values, prepared);
    return prepared;
  } catch (error) {
    prepared.close();
    throw error;
  }
}

async function prepareColumn(
  columns: Columns,
  { column, values }: ValuesOfColumn,
  prepared: StatementKeys,
): Promise<void> {
  const { policy, cells } = columns.get(column);
  const keys = prepared.keysOf(column.purpose).filter((_key, row) => !isUnset(values[row]));
  // A key that is reused stands here for each of its rows.
  for (const key of new Set(keys))
    if (key !== undefined) await inSlices(() => prepareToSeal(policy.suite, cells, key));
}

/** By purpose, how many values each row has. */
function cellsOfRows(rows: readonly ValuesOfColumn[]): ReadonlyMap<string, readonly number[]> {
  const counts = new Map<string, number[]>();
  for (const { column, values } of rows) {
    let cells = counts.get(column.purpose);
    if (cells === undefined) counts.set(column.purpose, (cells = values.map(() => 0)));
    values.forEach((value, row) => {
      if (!isUnset(value)) cells[row] = (cells[row] ?? 0) + 1;
    });
  }
  return counts;
}

const isUnset = (value: unknown): boolean => value === null || value === undefined;
