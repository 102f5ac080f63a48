/** How cells become values on one data source, and what stands for a cell that could not be opened. */
import { OpenError, type FieldSealError } from '../errors.js';
import type { CellsOfColumn, FieldSealPages, OpenedColumn } from '../keys/field-seal.js';
import { oneOf } from '../keys/options.js';
import { whenReady, type Ready } from '../keys/ready.js';
import { Sealed } from './sealed.js';

/** What becomes of a cell that cannot be opened: its error ends the read, or a {@link Sealed} value takes its place. */
export type OnUnopenable = 'throw' | 'sealed';

export const ON_UNOPENABLE = oneOf(['throw', 'sealed']);

/** The values of one column. `values[row]` is the value, a {@link Sealed}, or null where there was no cell. */
export type Settled = Pick<OpenedColumn, 'values'>;

/** Opens the cells of a page. */
export type Opener = (page: readonly CellsOfColumn[]) => Ready<readonly Settled[]>;

/** A write-only field seal is never asked: there every cell gives a {@link Sealed} value, whatever the policy. */
export function makeOpener(seal: FieldSealPages, onUnopenable: OnUnopenable): Opener {
  const settle = onUnopenable === 'sealed' || seal.access === 'write-only' ? leaveSealed : throwFirst;
  return (page) =>
    whenReady(openPage(seal, page), (opened) =>
      opened.every(isWhole)
        ? opened
        : opened.map(({ values, failures }, i) =>
            failures === undefined ? { values } : { values: settle(seal, page[i]!, values, failures) },
          ),
    );
}

const isWhole = ({ failures }: OpenedColumn): boolean => failures === undefined;

/**
 * The value of one cell.
 * @throws FormatError, KeyError, KmsError, OpenError.
 */
export async function openAlone(seal: FieldSealPages, cell: CellsOfColumn): Promise<unknown> {
  const [opened] = await openPage(seal, [cell]);
  const failure = opened!.failures?.get(0);
  if (failure) throw failure;
  return opened!.values[0];
}

/** The values of one column, with something for every row that failed. */
type Settle = (
  seal: FieldSealPages,
  cells: CellsOfColumn,
  values: readonly unknown[],
  failures: ReadonlyMap<number, FieldSealError>,
) => readonly unknown[];

const throwFirst: Settle = (_seal, _cells, values, failures) => {
  for (const failure of failures.values()) throw failure;
  return values;
};

const leaveSealed: Settle = (seal, page, values, failures) => {
  const settled = [...values];
  for (const row of failures.keys()) {
    const alone = rowOf(page, row);
    settled[row] = new Sealed(page.column, page.cells[row]!, () => openAlone(seal, alone));
  }
  return settled;
};

function rowOf(page: CellsOfColumn, row: number): CellsOfColumn {
  const { column, cells, fingerprints, bindings, previousBindings } = page;
  return {
    column,
    cells: [cells[row]],
    ...(fingerprints && { fingerprints: [fingerprints[row]] }),
    ...(bindings && { bindings: [bindings[row]] }),
    ...(previousBindings && { previousBindings: [previousBindings[row]] }),
  };
}

function openPage(seal: FieldSealPages, page: readonly CellsOfColumn[]): Ready<readonly OpenedColumn[]> {
  return seal.access === 'write-only' ? page.map(unopened) : seal.openPage(page);
}

function unopened({ column, cells }: CellsOfColumn): OpenedColumn {
  const failures = new Map<number, FieldSealError>();
  const values = cells.map((cell, row) => {
    if (cell === null || cell === undefined) return null;
    failures.set(row, writeOnly(`${column.entity}.${column.field}`));
    return undefined;
  });
  return { values, failures: failures.size > 0 ? failures : undefined };
}

function writeOnly(field: string): OpenError {
  return new OpenError(
    'ERR_OPEN_WRITE_ONLY',
    `${field} cannot be opened here: this DataSource is attached to a field seal that only writes. ` +
      'Read the value where a read-write field seal is attached.',
  );
}
