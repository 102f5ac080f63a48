/** Opening of a page: keys first, all together, then column by column. */
import type { CellColumn } from '../cell/column.js';
import type { DataKey } from '../cell/data-key.js';
import { groupByFingerprint, malformed } from '../cell/format.js';
import { openCells } from '../cell/open.js';
import type { Suite } from '../cell/suites.js';
import type { FieldSealError } from '../errors.js';
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

interface Grouped {
  readonly cells: CellsToOpen;
  readonly fingerprints: readonly string[];
  /** By row: index into `fingerprints`, -1 without a cell, -2 for bytes that are not a cell. */
  readonly slots: Int32Array;
}

const NO_CELL = -1;

export async function openPage(
  parts: OpenPageParts,
  page: readonly CellsToOpen[],
): Promise<readonly OpenedColumn[]> {
  const grouped = page.map((cells): Grouped => ({ cells, ...groupByFingerprint(cells.cells) }));
  const leases = await leaseAll(parts.keyring, grouped);
  try {
    parts.assertOpen();
    return grouped.map((column) => openColumn(parts, column, leases.get(column.cells.column.purpose)!));
  } finally {
    for (const lease of leases.values()) lease.release();
  }
}

type Leases = ReadonlyMap<string, KeyLease>;

/** One lease per purpose, taken at the same time, so that one microtask gathers what is missing; at once where nothing is. */
function leaseAll(keyring: Keyring, page: readonly Grouped[]): Leases | Promise<Leases> {
  const wanted = new Map<string, Set<string>>();
  for (const { cells, fingerprints } of page) {
    const { purpose } = cells.column;
    let set = wanted.get(purpose);
    if (set === undefined) wanted.set(purpose, (set = new Set()));
    for (const fingerprint of fingerprints) set.add(fingerprint);
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

function openColumn(parts: OpenPageParts, grouped: Grouped, lease: KeyLease): OpenedColumn {
  const { cells, fingerprints, slots } = grouped;
  const keyOf = fingerprints.map((fingerprint) => lease.key(fingerprint));
  const keys = new Array<DataKey | undefined>(slots.length).fill(undefined);
  let [set, keyless] = [0, 0];
  for (let row = 0; row < slots.length; row++) {
    const slot = slots[row]!;
    if (slot === NO_CELL) continue;
    set += 1;
    if ((keys[row] = keyOf[slot]) === undefined) keyless += 1;
  }
  const { values, failures } = openCells(cells.column, cells.cells, keys, cells);
  const all = keyless === 0 ? failures : withKeyless(grouped, keys, lease, failures);
  parts.opened(set - (all?.size ?? 0), all?.size ?? 0);
  return { values, failures: all };
}

/** Adds the rows whose key is not to be had, and those whose bytes are not a cell. */
function withKeyless(
  { cells, fingerprints, slots }: Grouped,
  keys: readonly (DataKey | undefined)[],
  lease: KeyLease,
  failures = new Map<number, FieldSealError>(),
): ReadonlyMap<number, FieldSealError> {
  slots.forEach((slot, row) => {
    if (slot === NO_CELL || keys[row] !== undefined) return;
    const fingerprint = fingerprints[slot];
    failures.set(row, fingerprint === undefined ? malformed(cells.cells[row]!) : lease.error(fingerprint)!);
  });
  return failures;
}
