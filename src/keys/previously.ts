/**
 * Older declarations of columns. A cell that does not verify under the declaration of its column is tried under the one
 * before: the same key, another context. Nothing is ever sealed under it.
 */
import { isPromise } from 'node:util/types';
import { codecOf } from '../cell/codecs.js';
import type { CellColumn } from '../cell/column.js';
import { ConfigError, OpenError, type FieldSealError } from '../errors.js';
import type { FieldDeclaration, OpenedColumn, PreviousDeclaration } from './field-seal.js';
import { openPage, type CellsToOpen, type OpenPageParts } from './open-page.js';

/** An older declaration, checked. */
export interface PreviousColumn {
  readonly cells: CellColumn;
  readonly convert: PreviousDeclaration['convert'];
  readonly revert: PreviousDeclaration['revert'];
}

/**
 * What was declared before; what it leaves out was as it is.
 * @throws ConfigError `ERR_CONFIG_FIELD`.
 */
export function previousColumn(
  declaration: FieldDeclaration,
  cellsOf: (parts: Pick<CellColumn, 'entity' | 'field' | 'codec' | 'bound'>) => CellColumn,
): PreviousColumn | undefined {
  const { previously, codec, blindIndex } = declaration;
  if (previously === undefined) return undefined;
  const { convert, revert } = previously;
  const before = {
    entity: previously.entity ?? declaration.entity,
    field: previously.field ?? declaration.field,
    codec: previously.codec ?? codec,
    bound: previously.bound ?? declaration.bound ?? false,
  };
  const where = `${declaration.entity}.${declaration.field}`;
  if (before.codec !== codec && convert === undefined) {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: values of type '${before.codec}' are to be read as '${codec}'; give previously.convert, which makes one of the other.`,
    );
  }
  if (before.codec !== codec && blindIndex !== undefined && revert === undefined) {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: its blind index holds values of type '${before.codec}', which a search for a '${codec}' would not find; ` +
        'give previously.revert, or leave the blind index out until the old rows are rewritten.',
    );
  }
  return { cells: cellsOf(before), convert, revert };
}

/** A column of a page, with the older declaration where there is one. */
export interface ColumnWithPrevious {
  readonly cells: CellColumn;
  readonly previous: PreviousColumn | undefined;
}

/** The same page with the cells opened that only verify under the older declaration of their column. */
export async function openPreviously(
  parts: OpenPageParts,
  page: readonly CellsToOpen[],
  columns: readonly ColumnWithPrevious[],
  opened: readonly OpenedColumn[],
): Promise<readonly OpenedColumn[]> {
  const retries = page.flatMap((cells, i) => {
    const rows = unverifiedRows(opened[i]!);
    const { previous } = columns[i]!;
    return previous && rows.length > 0 ? [{ i, rows, previous, cells: cellsOf(cells, previous, rows) }] : [];
  });
  if (retries.length === 0) return opened;
  const again = await openPage(
    recounting(parts),
    retries.map(({ cells }) => cells),
  );
  const merged = [...opened];
  retries.forEach(({ i, rows, previous }, at) => {
    merged[i] = merge(opened[i]!, rows, again[at]!, converter(columns[i]!.cells, previous));
  });
  return merged;
}

function unverifiedRows({ failures }: OpenedColumn): number[] {
  if (failures === undefined) return [];
  return [...failures].flatMap(([row, { code }]) => (code === 'ERR_OPEN_FAILED' ? [row] : []));
}

function cellsOf(page: CellsToOpen, { cells: column }: PreviousColumn, rows: readonly number[]): CellsToOpen {
  const { accept, cells, fingerprints, previousBindings } = page;
  return {
    column,
    accept,
    cells: rows.map((row) => cells[row]),
    ...(fingerprints && { fingerprints: rows.map((row) => fingerprints[row]) }),
    ...(previousBindings && { bindings: rows.map((row) => previousBindings[row]) }),
  };
}

/** These cells were counted as failures once; those that open now were none. */
function recounting(parts: OpenPageParts): OpenPageParts {
  return {
    ...parts,
    opened: (cells) => {
      parts.opened(cells, -cells);
    },
  };
}

/** Whatever still fails keeps the failure of the present declaration, unless the second one is of another kind. */
function merge(
  opened: OpenedColumn,
  rows: readonly number[],
  again: OpenedColumn,
  converted: (value: unknown) => Converted,
): OpenedColumn {
  const values = [...opened.values];
  const failures = new Map(opened.failures);
  rows.forEach((row, at) => {
    const refused = again.failures?.get(at);
    const { value, failure } = refused ? { value: undefined, failure: refused } : converted(again.values[at]);
    values[row] = value;
    if (failure === undefined) failures.delete(row);
    else if (failure !== refused || failure.code !== 'ERR_OPEN_FAILED') failures.set(row, failure);
  });
  return { values, failures: failures.size === 0 ? undefined : failures };
}

interface Converted {
  readonly value: unknown;
  readonly failure: FieldSealError | undefined;
}

function converter(column: CellColumn, { convert }: PreviousColumn): (value: unknown) => Converted {
  if (convert === undefined) return (value) => ({ value, failure: undefined });
  return (value) => {
    const [converted, fault] = convertOne(column, convert as (value: unknown) => unknown, value);
    return fault === undefined
      ? { value: converted, failure: undefined }
      : { value: undefined, failure: unconverted(column, fault) };
  };
}

/** The result, or what is wrong with it. What `convert` throws may quote the value, so it is not passed on. */
function convertOne(
  { codec }: CellColumn,
  convert: (value: unknown) => unknown,
  value: unknown,
): [converted: unknown, fault?: string] {
  let converted: unknown;
  try {
    converted = convert(value);
  } catch {
    return [undefined, 'an error'];
  }
  if (converted === null || converted === undefined) return [undefined, 'nothing'];
  if (isPromise(converted)) return [undefined, 'a promise'];
  try {
    codecOf(codec, '').encode(converted, '');
  } catch {
    return [undefined, 'another value'];
  }
  return [converted];
}

function unconverted({ entity, field, codec }: CellColumn, got: string): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `${entity}.${field}: expected previously.convert to return a value of type '${codec}', got ${got}; let it take every ` +
      'value of the older declaration.',
  );
}
