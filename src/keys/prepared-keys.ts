/** Keys that one statement was given before its SQL is made, for deliveries whose keys are not here already. */
import type { DataKey } from '../cell/data-key.js';
import type { PreparedKeys, ValuesOfColumn } from './field-seal.js';
import type { HeldKey } from './held-key.js';
import type { Pool } from './pool.js';
import type { RecordKeys } from './record-keys.js';

type KeysOfRows = readonly (HeldKey | undefined)[];

/** Leases end with it; closing twice is nothing. */
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

/** By purpose, how many values each row has. */
function cellsOfRows(rows: readonly ValuesOfColumn[]): ReadonlyMap<string, readonly number[]> {
  const counts = new Map<string, number[]>();
  for (const { column, values } of rows) {
    let cells = counts.get(column.purpose);
    if (cells === undefined) counts.set(column.purpose, (cells = values.map(() => 0)));
    values.forEach((value, row) => {
      if (value !== null && value !== undefined) cells[row] = (cells[row] ?? 0) + 1;
    });
  }
  return counts;
}
