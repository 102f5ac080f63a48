/** Opening of a page: keys first, all together, then the cells of each key in batches across columns. */
import { type CellGroup, CellGroups } from '../cell/cell-groups.js';
import type { CellColumn } from '../cell/column.js';
import { beginOpening, failCells, openCells, type Opening, type OpenOptions } from '../cell/open.js';
import type { CellsOfColumn, OpenedColumn } from './field-seal.js';
import { HeldKey } from './held-key.js';
import type { Keyring, Leased } from './keyring.js';
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

/** At once where all keys are here. */
export function openPage(parts: OpenPageParts, page: readonly CellsToOpen[]): Ready<readonly OpenedColumn[]> {
  const groups = new CellGroups<Opening>();
  const columns = page.map((cells) => beginOpening(groups, cells.column, cells.cells, cells));
  const keys = leaseAll(parts.keyring, groups.all);
  return whenReady(keys, (leased) => openLeased(parts, columns, groups.all, leased));
}

/** The key of each group, or why there is none; what has to be loaded is asked for in one microtask. */
function leaseAll(keyring: Keyring, groups: readonly CellGroup<Opening>[]): Ready<readonly Leased[]> {
  const keys = groups.map(({ purpose, fingerprint }) => keyring.lease(purpose, fingerprint));
  return keys.every(isHere) ? keys : Promise.all(keys.map((key) => Promise.resolve(key)));
}

const isHere = (key: Ready<Leased>): key is Leased => !(key instanceof Promise);

function openLeased(
  parts: OpenPageParts,
  columns: readonly Opening[],
  groups: readonly CellGroup<Opening>[],
  keys: readonly Leased[],
): readonly OpenedColumn[] {
  try {
    parts.assertOpen();
    groups.forEach((group, i) => {
      const key = keys[i]!;
      if (key instanceof HeldKey) openCells(key.key, group);
      else failCells(group, key);
    });
    for (const { count, failures } of columns) {
      const failed = failures?.size ?? 0;
      parts.opened(count - failed, failed);
    }
    return columns;
  } finally {
    for (const key of keys) if (key instanceof HeldKey) key.release();
  }
}
