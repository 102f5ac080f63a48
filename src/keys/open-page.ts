/** Opening of a page: keys first, all together, then the cells of each key in batches across columns. */
import { type GroupedCells, groupCells } from '../cell/cell-groups.js';
import type { CellColumn } from '../cell/column.js';
import type { DataKey } from '../cell/data-key.js';
import { malformed } from '../cell/format.js';
import {
  beginOpening,
  fail,
  openCells,
  type KeyedCells,
  type Opening,
  type OpenOptions,
} from '../cell/open.js';
import type { CellsOfColumn, OpenedColumn } from './field-seal.js';
import type { KeyLease } from './key-lease.js';
import type { Keyring } from './keyring.js';
import { whenReady, type Ready } from './ready.js';

/** Cells of one column with what is needed to open them. */
export interface CellsToOpen extends OpenOptions {
  readonly column: CellColumn;
  readonly cells: CellsOfColumn['cells'];
  readonly previousBindings?: CellsOfColumn['previousBindings'] | undefined;
}

export interface OpenPageParts {
  readonly keyring: Keyring;
  /** Throws when the field seal was closed while keys were loaded. */
  assertOpen(): void;
  /** Told how many cells were opened and how many failed. */
  opened(cells: number, failures: number): void;
}

interface Column {
  readonly opening: Opening;
  readonly grouped: GroupedCells;
}

/** At once where all keys are here. */
export function openPage(parts: OpenPageParts, page: readonly CellsToOpen[]): Ready<readonly OpenedColumn[]> {
  const columns = page.map((cells): Column => ({
    opening: beginOpening(cells.column, cells.cells, cells),
    grouped: groupCells(cells.cells),
  }));
  return whenReady(leaseAll(parts.keyring, columns), (leases) => openLeased(parts, columns, leases));
}

function openLeased(
  parts: OpenPageParts,
  columns: readonly Column[],
  leases: Leases,
): readonly OpenedColumn[] {
  try {
    parts.assertOpen();
    for (const [key, cells] of cellsByKey(columns, leases)) openCells(key, cells);
    return columns.map(({ opening, grouped }) => counted(parts, opening, grouped));
  } finally {
    for (const lease of leases.values()) lease.release();
  }
}

type Leases = ReadonlyMap<string, KeyLease>;

/** One lease per purpose, taken at the same time, so that one microtask gathers what is missing. */
function leaseAll(keyring: Keyring, columns: readonly Column[]): Ready<Leases> {
  const wanted = new Map<string, string[]>();
  for (const { opening, grouped } of columns) {
    const { purpose } = opening.column;
    let fingerprints = wanted.get(purpose);
    if (fingerprints === undefined) wanted.set(purpose, (fingerprints = []));
    for (const { fingerprint } of grouped.groups) fingerprints.push(fingerprint);
  }
  const leases = new Map<string, KeyLease>();
  const waiting: Promise<unknown>[] = [];
  for (const [purpose, fingerprints] of wanted) {
    const lease = keyring.lease(purpose, fingerprints);
    if (lease instanceof Promise) waiting.push(lease.then((taken) => leases.set(purpose, taken)));
    else leases.set(purpose, lease);
  }
  return waiting.length === 0 ? leases : Promise.all(waiting).then(() => leases);
}

/** The cells that each key opens; rows whose key is not to be had, or whose bytes are not a cell, fail here. */
function cellsByKey(columns: readonly Column[], leases: Leases): ReadonlyMap<DataKey, readonly KeyedCells[]> {
  const byKey = new Map<DataKey, KeyedCells[]>();
  for (const { opening, grouped } of columns) {
    const lease = leases.get(opening.column.purpose)!;
    for (const row of grouped.malformed) fail(opening, row, malformed(opening.cells[row]!));
    for (const { fingerprint, byteOne, rows } of grouped.groups) {
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

function counted(parts: OpenPageParts, opening: Opening, { cells }: GroupedCells): Opening {
  const failed = opening.failures?.size ?? 0;
  parts.opened(cells - failed, failed);
  return opening;
}
