/** Opening a page: the cells of all encrypted columns in the raw rows, in one batch, before hydration sees them. */
import { OpenError } from '../errors.js';
import {
  isPendingIndex,
  type CellsOfColumn,
  type FieldSealPages,
  type IndexValue,
  type PendingIndex,
} from '../keys/field-seal.js';
import { bindingOf, type BoundColumn } from './bound-columns.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, Row } from './internals.js';
import { asCell } from './stored-cell.js';
import { readFingerprint } from './stored-fingerprint.js';
import type { Opener } from './opener.js';
import { whenReady, type Ready } from '../keys/ready.js';
import { isSealed } from './sealed.js';
import { OpenedValue } from './transformer.js';

export type RawNameOf = (column: ColumnMetadata) => string | undefined;

/** One encrypted column as it stands in raw rows. */
export interface PageColumn {
  readonly column: EncryptedColumn;
  /** Name of the cell in a raw row. */
  readonly rawName: string;
  /** Name of the fingerprint there; it need not be in the rows. */
  readonly keyName: string | undefined;
  /** Names of other columns of the same alias in a raw row; undefined for those that were not selected. */
  readonly rawNameOf: RawNameOf;
  /** Where rows were searched by the blind index of this column: the indexes that the KMS made for it. */
  readonly searchedBy: readonly PendingIndex[] | undefined;
}

/**
 * Puts an {@link OpenedValue} in the place of every cell. Where nobody will put the cells back they are let go at once:
 * those of a large page are most of what a collection of garbage during hydration would have to move.
 * @throws What the opener throws; then the rows are as they were.
 */
export function openPage(
  open: Opener,
  seal: Pick<FieldSealPages, 'searchIndexes'>,
  columns: readonly PageColumn[],
  rows: readonly Row[],
  keepCells: boolean,
): Ready<void> {
  const page = columns.map((column) => cellsOf(column, rows));
  return whenReady(open(page), (opened) => {
    columns.forEach((column, i) => {
      if (column.searchedBy) refuseMovedIndex(seal, column, rows, opened[i]!.values);
    });
    columns.forEach(({ rawName }, i) => {
      putValues(rows, rawName, page[i]!.cells, opened[i]!.values, keepCells);
    });
  });
}

function putValues(
  rows: readonly Row[],
  rawName: string,
  cells: readonly unknown[],
  values: readonly unknown[],
  keepCells: boolean,
): void {
  for (let at = 0; at < rows.length; at++) {
    const cell = cells[at];
    if (cell !== null) rows[at]![rawName] = new OpenedValue(values[at], keepCells ? cell : undefined);
  }
}

/** The raw rows as the database gave them. */
export function putCellsBack(names: readonly string[], rows: readonly Row[]): void {
  for (const name of names) {
    for (const row of rows) {
      const value = row[name];
      if (value instanceof OpenedValue) row[name] = value.cell;
    }
  }
}

function cellsOf({ column, rawName, keyName, rawNameOf }: PageColumn, rows: readonly Row[]): CellsOfColumn {
  const cells = rows.map((row) => asCell(row[rawName]));
  const siblings = keyName !== undefined && rows.some((row) => row[keyName] !== undefined);
  return {
    column: column.handle,
    cells,
    fingerprints: siblings ? rows.map((row) => readFingerprint(row[keyName])) : undefined,
    bindings: bindingsOf(column.bound, rawNameOf, rows),
    previousBindings: bindingsOf(column.previouslyBound, rawNameOf, rows),
  };
}

/** By row; undefined where a bound value is gone: then nothing can be opened under it. */
function bindingsOf(
  bound: readonly BoundColumn[],
  rawNameOf: RawNameOf,
  rows: readonly Row[],
): (Uint8Array | undefined)[] | undefined {
  if (bound.length === 0) return undefined;
  const names = new Map(bound.map(({ column }) => [column, rawNameOf(column) ?? '']));
  return rows.map((row) => {
    const valueOf = (column: ColumnMetadata) => row[names.get(column)!];
    return bound.every(({ column }) => isSet(valueOf(column))) ? bindingOf(bound, valueOf) : undefined;
  });
}

const isSet = (value: unknown): boolean => value !== null && value !== undefined;

/**
 * A database writer can move a blind index to another row, so that a search finds it there. The cell is authenticated,
 * so the index that belongs to its value is known. One that the KMS makes is known for the values that were searched, and
 * is compared in rows that have it; for the others nobody asks.
 */
function refuseMovedIndex(
  seal: Pick<FieldSealPages, 'searchIndexes'>,
  { column, rawNameOf, searchedBy = [] }: PageColumn,
  rows: readonly Row[],
  values: readonly unknown[],
): void {
  const rawName = column.index && rawNameOf(column.index);
  rows.forEach((row, at) => {
    // An index that is not in the rows says nothing for them.
    const stored = rawName === undefined ? null : asCell(row[rawName]);
    // Of a value that stayed sealed nobody knows the index.
    if (isSealed(values[at])) return;
    if (values[at] === null && stored === null) return;
    const belongs = (index: IndexValue): boolean => {
      if (stored === null) return false;
      if (!isPendingIndex(index)) return index.equals(stored);
      const searched = searchedBy.find(({ bytes }) => bytes?.equals(stored) === true);
      return searched === undefined || index.isSameAs(searched);
    };
    if (values[at] !== null && seal.searchIndexes(column.handle, values[at]).some(belongs)) return;
    throw new OpenError(
      'ERR_OPEN_FAILED',
      `${column.label}: a row was found by a blind index that does not belong to its value. The index was changed in the database.`,
    );
  });
}
