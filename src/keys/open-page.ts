/** Opening of a page: keys first, all together, then the cells of each key in batches across columns. */
import { type GroupedCells, groupCells } from '../cell/cell-groups.js';
import type { CellColumn } from '../cell/column.js';
import type { DataKey } from '../cell/data-key.js';
import { malformed } from '../cell/format.js';
import { beginOpening, fail, type KeyedCells, openCells, type Opening } from '../cell/open.js';
import type { Suite } from '../cell/suites.js';
import type { CellsOfColumn, OpenedColumn } from './field-seal.js';
import type { KeyLease } from './key-lease.js';
import type { Keyring } from './keyring.js';

/** Cells of one column with what is needed to open them. */
export interface CellsToOpen extends Omit<CellsOfColumn, 'column'> {
  readonly column: CellColumn;
  readonly accept: readonly Suite[];
}

export interface OpenPageParts {
  readonly keyring: Keyring;
  /** Throws when the field seal was closed while keys were loaded. */
  assertOpen(): void;
  /** Told how many cells were opened and how many failed. */
  opened(cells: number, failures: number): void;
}

interface Column extends GroupedCells {
  readonly opening: Opening;
}

export async function openPage(
  parts: OpenPageParts,
  page: readonly CellsToOpen[],
): Promise<readonly OpenedColumn[]> {
  const columns = page.map((cells): Column => ({
    opening: beginOpening(cells.column, cells.cells, cells),
    ...groupCells(cells.cells),
  }));
  const leases = await leaseAll(parts.keyring, columns);
  try {
    parts.assertOpen();
    for (const [key, cells] of cellsByKey(columns, leases)) openCells(key, cells);
    for (const column of columns) count(parts, column);
    return columns.map(({ opening }) => opening);
  } finally {
    for (const lease of leases.values()) lease.release();
  }
}

type Leases = ReadonlyMap<string, KeyLease>;

/** One lease per purpose, taken at the same time, so that one microtask gathers what is missing; at once where nothing is. */
function leaseAll(keyring: Keyring, columns: readonly Column[]): Leases | Promise<Leases> {
  const wanted = new Map<string, Set<string>>();
  for (const { opening, groups } of columns) {
    const { purpose } = opening.column;
    let set = wanted.get(purpose);
    if (set === undefined) wanted.set(purpose, (set = new Set()));
    for (const { fingerprint } of groups) set.add(fingerprint);
  }
  const leases = new Map<string, KeyLease>();
  const waiting: Promise<unknown>[] = [];
  for (const [purpose, set] of wanted) {
    const lease = keyring.lease(purpose, [...set]);
    if (lease instanceof Promise) waiting.push(lease.then((taken) => leases.set(purpose, taken)));
    else leases.set(purpose, lease);
  }
  return waiting.length === 0 ? leases : Promise.all(waiting).then(() => leases);
}

/** The cells that each key opens; rows whose key is not to be had, or whose bytes are not a cell, fail here. */
function cellsByKey(columns: readonly Column[], leases: Leases): ReadonlyMap<DataKey, readonly KeyedCells[]> {
  const byKey = new Map<DataKey, KeyedCells[]>();
  for (const { opening, groups, malformed: rows } of columns) {
    const lease = leases.get(opening.column.purpose)!;
    for (const row of rows) fail(opening, row, malformed(opening.cells[row]!));
    for (const { fingerprint, byteOne, rows } of groups) {
      const key = lease.key(fingerprint);
      if (key === undefined) {
        for (const row of rows) fail(opening, row, lease.error(fingerprint)!);
        continue;
      }
      const cells = { opening, byteOne, rows };
      const others = byKey.get(key);
      if (others) others.push(cells);
      else byKey.set(key, [cells]);
    }
  }
  return byKey;
}

function count(parts: OpenPageParts, { opening: { failures }, groups, malformed }: Column): void {
  const failed = failures?.size ?? 0;
  parts.opened(groups.reduce((sum, { rows }) => sum + rows.length, malformed.length) - failed, failed);
}
