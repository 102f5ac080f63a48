/** Sealing of the rows of one statement. */
import { knownCodec } from '../cell/codecs.js';
import type { CellColumn } from '../cell/column.js';
import type { DataKey } from '../cell/data-key.js';
import { maskOf } from '../cell/mask.js';
import { sealCells } from '../cell/seal.js';
import { isFieldSealError, QueryError, SealError } from '../errors.js';
import type { Columns, DeclaredColumn } from './columns.js';
import type { FieldColumn, IndexValue, SealedColumn, ValuesOfColumn } from './field-seal.js';
import type { IndexMaker, IndexMakers } from './index-makers.js';
import type { Pool } from './pool.js';
import type { StatementKeys } from './prepared-keys.js';
import type { RecordKeys } from './record-keys.js';

export interface SealRowsParts {
  readonly columns: Columns;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly writers: ReadonlyMap<string, RecordKeys>;
  readonly indexMakers: IndexMakers;
  /** Told how many cells were sealed. */
  sealed(cells: number): void;
}

/** One key per row and purpose, so that a batch stays in few groups. */
export function sealRows(
  parts: SealRowsParts,
  rows: readonly ValuesOfColumn[],
  prepared: StatementKeys | undefined,
): readonly SealedColumn[] {
  const declared = rows.map(({ column }) => parts.columns.get(column));
  const keysOf = keysOfRows(parts, rows, prepared);
  return rows.map((values, i) =>
    sealColumn(parts, declared[i]!, values, keysOf.get(values.column.purpose) ?? []),
  );
}

/**
 * The index value of one value under each index key version.
 * @throws QueryError `ERR_QUERY_NO_BLIND_INDEX`; SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE`.
 */
export function searchIndexes(
  parts: Pick<SealRowsParts, 'columns' | 'indexMakers'>,
  column: FieldColumn,
  value: unknown,
): readonly IndexValue[] {
  const declared = parts.columns.get(column);
  const where = nameOf(declared);
  if (declared.declaration.blindIndex === undefined) {
    throw new QueryError(
      'ERR_QUERY_NO_BLIND_INDEX',
      `${where} has no blind index; declare one to search by equality.`,
    );
  }
  if (value === null || value === undefined) {
    throw new SealError(
      'ERR_SEAL_TYPE',
      `${where}: expected a value to search, got ${String(value)}; search for NULL instead.`,
    );
  }
  const makers = parts.indexMakers(column.purpose);
  if (makers === undefined) {
    throw new QueryError(
      'ERR_QUERY_NO_BLIND_INDEX',
      `${where}: a field seal that only writes has no index key to search with; search where a reader is attached.`,
    );
  }
  const normal = normalized(declared, [value]);
  const indexes = makers.map((make) => make(declared.cells, normal)[0]!);
  return [...indexes, ...previousIndexes(declared, makers, value, normal)];
}

/** Under the older declaration of the column; none where its rows are indexed the same way. */
function previousIndexes(
  { cells, previous }: DeclaredColumn,
  makers: readonly IndexMaker[],
  value: unknown,
  normal: readonly unknown[],
): readonly IndexValue[] {
  if (previous === undefined) return [];
  const { cells: before, revert } = previous;
  if (revert === undefined) {
    const isSame = before.entity === cells.entity && before.field === cells.field;
    return isSame ? [] : makers.map((make) => make(before, normal)[0]!);
  }
  const reverted = revertOne(before, revert as (value: unknown) => unknown, value);
  return isUnset(reverted) ? [] : makers.map((make) => make(before, [reverted])[0]!);
}

/** What `revert` throws may quote the value, so it is not passed on. */
function revertOne(
  { entity, field }: CellColumn,
  revert: (value: unknown) => unknown,
  value: unknown,
): unknown {
  try {
    return revert(value);
  } catch {
    throw new SealError(
      'ERR_SEAL_VALUE',
      `${entity}.${field}: expected previously.revert to return a value or undefined, got an error; let it take every value of the field.`,
    );
  }
}

/** Purposes whose values are all unset need no key, and so no pool that is fresh. */
function keysOfRows(
  { pools }: SealRowsParts,
  rows: readonly ValuesOfColumn[],
  prepared: StatementKeys | undefined,
): ReadonlyMap<string, Keys> {
  const lengths = new Map<string, number>();
  for (const { column, values } of rows) {
    if (values.every(isUnset)) continue;
    lengths.set(column.purpose, Math.max(lengths.get(column.purpose) ?? 0, values.length));
  }
  return new Map(
    [...lengths].map(([purpose, length]) => [
      purpose,
      pools.get(purpose)?.draw(length) ?? preparedKeys(purpose, prepared),
    ]),
  );
}

type Keys = readonly (DataKey | undefined)[];

export function preparedKeys(purpose: string, prepared: StatementKeys | undefined): Keys {
  if (prepared !== undefined) return prepared.keysOf(purpose);
  throw new SealError(
    'ERR_SEAL_NOT_PREPARED',
    `Purpose ${purpose}: its cells carry keys of their own, which have to be made before values are sealed; ` +
      'expected prepare() first, as execute() of a statement does, and sealAsync() for single values.',
  );
}

function sealColumn(
  parts: SealRowsParts,
  declared: DeclaredColumn,
  { values, bindings }: ValuesOfColumn,
  keys: Keys,
): SealedColumn {
  const { policy, cells: column, declaration } = declared;
  const indexes = declaration.blindIndex === undefined ? undefined : writtenIndexes(parts, declared, values);
  const masks = writtenMasks(declared, values);
  const { cells, bytes } = sealCells(policy.suite, column, values, keys, bindings);
  parts.pools.get(policy.purpose)?.count(keys, cells, bytes);
  const fingerprints = cells.map((cell, row) => (cell === null ? null : keys[row]!.fingerprint));
  parts.sealed(cells.reduce((count, cell) => (cell === null ? count : count + 1), 0));
  return { cells, fingerprints, indexes, masks };
}

function writtenMasks(
  declared: DeclaredColumn,
  values: readonly unknown[],
): readonly (string | null)[] | undefined {
  const { mask } = declared.declaration;
  if (mask === undefined) return undefined;
  return values.map((value) => (isUnset(value) ? null : maskOf(mask, value, nameOf(declared))));
}

function writtenIndexes(
  { indexMakers }: SealRowsParts,
  declared: DeclaredColumn,
  values: readonly unknown[],
): (IndexValue | null)[] {
  const makers = indexMakers(declared.policy.purpose);
  if (makers === undefined) return values.map(() => null);
  return makers[0]!(declared.cells, normalized(declared, values));
}

function normalized(declared: DeclaredColumn, values: readonly unknown[]): readonly unknown[] {
  const normalize = declared.declaration.blindIndex?.normalize as ((value: unknown) => unknown) | undefined;
  if (normalize === undefined) return values;
  return values.map((value) => (isUnset(value) ? value : normalizeOne(declared, normalize, value)));
}

/** What `normalize` throws may quote the value, so it is not passed on. */
function normalizeOne(
  declared: DeclaredColumn,
  normalize: (value: unknown) => unknown,
  value: unknown,
): unknown {
  // Before the function of the application sees it: what it makes of a wrong type says nothing about that.
  knownCodec(declared.cells.codec).encode(value, nameOf(declared));
  let normal: unknown;
  let fault = 'nothing';
  try {
    normal = normalize(value);
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    fault = 'an error';
  }
  if (!isUnset(normal)) return normal;
  throw new SealError(
    'ERR_SEAL_VALUE',
    `${nameOf(declared)}: expected blindIndex.normalize to return a value, got ${fault}; let it take every value of the field.`,
  );
}

function isUnset(value: unknown): boolean {
  return value === null || value === undefined;
}

function nameOf({ declaration }: DeclaredColumn): string {
  return `${declaration.entity}.${declaration.field}`;
}
