/** INSERT and upsert: derived rows while the SQL is made, siblings wherever the cell is named. */
import { QueryError, SealError } from '../errors.js';
import type { FieldSealPages, PreparedKeys } from '../keys/field-seal.js';
import { refuseBareTable } from './bare-table.js';
import { familyOf, type Family } from './column-types.js';
import { isEqualOnConflict } from './conflicts.js';
import { deriveRows, isHeardBefore, valuesToPrepare } from './derived-rows.js';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import { unsealedWrites } from './unsealed-writes.js';
import type { BuilderClass, ColumnMetadata, InsertInternals, Row } from './internals.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';
import { withReturnedCells } from './returned-cells.js';
import { showMasks } from './shown-masks.js';
import { inSameTransaction } from './transaction-end.js';

export function insertBuilder(
  context: BuilderContext,
  Plain: BuilderClass<InsertInternals>,
): BuilderClass<InsertInternals> {
  const { dataSource, seal, columnsOf } = context;
  const family = familyOf(dataSource);
  const refuseUnsealedWrites = unsealedWrites(family);

  return class FieldSealInsertQueryBuilder extends Plain {
    /** Set while SQL is made: the rows that take the place of the user's. */
    #derived: Row[] | undefined;
    /** Set while the statement is executed. */
    #prepared: PreparedKeys | undefined;
    /** The rows of the SQL that was made last. */
    #written: readonly Row[] = [];

    override async execute(): ReturnType<InsertInternals['execute']> {
      const columns = this.#columns();
      if (columns.length === 0 || this.expressionMap.insertFromSelect) return super.execute();
      if (context.insertOnly) this.updateEntity(false);
      const rows = super.getValueSets();
      const write = () => super.execute();
      const { beforeInsertListeners } = columns[0]!.metadata;
      const late = isHeardBefore(dataSource, this.expressionMap, beforeInsertListeners, 'beforeInsert');
      const assertSame = inSameTransaction(this.queryRunner);
      this.#prepared = await seal.prepare(valuesToPrepare(columns, rows, late));
      try {
        assertSame();
        return await this.#write(columns, rows, write);
      } finally {
        this.#prepared.close();
        this.#prepared = undefined;
      }
    }

    async #write(
      columns: readonly EncryptedColumn[],
      rows: readonly Row[],
      write: InsertInternals['execute'],
    ): ReturnType<InsertInternals['execute']> {
      const { updateEntity } = this.expressionMap;
      const written = () => this.#written.map((row, at) => [row, rows[at]!] as const);
      const result = await withReturnedCells(context, this, { columns, objects: rows, written }, write);
      const stored = columns.filter((column) => isStored(column, this.expressionMap));
      showMasks(stored, this.#written, result.generatedMaps, updateEntity ? rows : []);
      return result;
    }

    override getQuery(): string {
      const columns = this.#columns();
      if (columns.length === 0) {
        refuseBareTable(context, this);
        return super.getQuery();
      }
      if (this.expressionMap.insertFromSelect) refuseInsertFromSelect(columns, super.getInsertedColumns());
      refuseUnsealedWrites(columns, this.expressionMap);
      const { onUpdate } = this.expressionMap;
      try {
        if (!this.expressionMap.insertFromSelect) {
          this.#written = this.#derived = deriveRows(
            dataSource,
            seal,
            columns,
            super.getValueSets(),
            this.#prepared,
          );
        }
        if (onUpdate) {
          const complete = withSiblings(family, columns, onUpdate);
          refuseUnseenConflicts(seal, columns, complete.conflict, super.getValueSets());
          this.expressionMap.onUpdate = complete;
        }
        return super.getQuery();
      } finally {
        this.#derived = undefined;
        if (onUpdate) this.expressionMap.onUpdate = onUpdate;
      }
    }

    override getValueSets(): Row[] {
      return this.#derived ?? super.getValueSets();
    }

    override getInsertedColumns(): ColumnMetadata[] {
      const inserted = super.getInsertedColumns();
      // Without a list of the user's own, TypeORM takes all columns, siblings included.
      return this.expressionMap.insertColumns.length === 0
        ? inserted
        : addSiblings(this.#columns(), inserted);
    }

    #columns(): readonly EncryptedColumn[] {
      const metadata = mainMetadata(this);
      return metadata ? columnsOf(metadata) : [];
    }
  };
}

/** Whether every row of the statement ends up with its own cell; where rows may be left as they were, nobody knows. */
function isStored(
  { cell }: EncryptedColumn,
  { onIgnore, onConflict, onUpdate }: InsertInternals['expressionMap'],
): boolean {
  if (onIgnore || onConflict) return false;
  if (!onUpdate) return true;
  const { overwrite, overwriteCondition } = onUpdate;
  return !overwriteCondition && overwrite?.includes(cell.databaseName) === true;
}

function addSiblings(columns: readonly EncryptedColumn[], inserted: ColumnMetadata[]): ColumnMetadata[] {
  const all = new Set(inserted);
  for (const column of columns) {
    for (const sibling of siblingsOf(column)) {
      if (inserted.includes(column.cell)) all.add(sibling);
      else if (all.has(sibling)) throw siblingAlone(column, sibling.propertyPath);
    }
  }
  return [...all];
}

/** An upsert overwrites the siblings together with their cell, or a fingerprint of the old cell would stay. */
function withSiblings(
  family: Family,
  columns: readonly EncryptedColumn[],
  onUpdate: NonNullable<InsertInternals['expressionMap']['onUpdate']>,
): typeof onUpdate {
  if (!Array.isArray(onUpdate.overwrite)) return onUpdate;
  const overwrite = new Set<string>(onUpdate.overwrite as readonly string[]);
  const conflict = Array.isArray(onUpdate.conflict)
    ? (onUpdate.conflict as readonly string[]).map((name) => conflictColumn(columns, name))
    : onUpdate.conflict;
  for (const column of columns) {
    if (!overwrite.has(column.cell.databaseName)) {
      const alone = siblingsOf(column).find((sibling) => overwrite.has(sibling.databaseName));
      if (alone && !conflict?.includes(alone.databaseName)) throw siblingAlone(column, alone.databaseName);
    } else {
      if (onUpdate.skipUpdateIfNoValuesChanged) throw comparesCells(column);
      for (const sibling of siblingsOf(column)) overwrite.add(sibling.databaseName);
    }
    refuseUnboundOverwrite(family, column, overwrite, conflict);
  }
  return { ...onUpdate, overwrite: [...overwrite], ...(conflict && { conflict }) };
}

/** Cells never conflict, equal values do: through their blind index. */
function conflictColumn(columns: readonly EncryptedColumn[], name: string): string {
  const column = columns.find(({ cell }) => cell.databaseName === name);
  if (!column) return name;
  if (column.index) return column.index.databaseName;
  throw new QueryError(
    'ERR_QUERY_NO_BLIND_INDEX',
    `${column.label} is encrypted and has no blind index, so no two values of it conflict. Declare blindIndex: { unique: true }.`,
  );
}

/**
 * While rows are stored under several index values (two versions of the index key, an older declaration), or without one
 * that is made later, such a row does not conflict with the one that is inserted, which would become a second row with an
 * equal value.
 */
function refuseUnseenConflicts(
  seal: FieldSealPages,
  columns: readonly EncryptedColumn[],
  conflict: string | readonly string[] | undefined,
  rows: readonly Row[],
): void {
  if (!Array.isArray(conflict)) return;
  for (const { cell, index, handle, label, isIndexedLater } of columns) {
    if (!index || !conflict.includes(index.databaseName)) continue;
    if (isIndexedLater) throw unseenConflicts(label, 'without an index, which is made later');
    const values = rows.map((row): unknown => cell.getEntityValue(row));
    const value = values.find((one) => one !== null && one !== undefined && typeof one !== 'function');
    if (value === undefined || seal.searchIndexes(handle, value).length === 1) continue;
    throw unseenConflicts(label, 'under more than one index value (index.versions, acceptPreviously)');
  }
}

function unseenConflicts(label: string, stored: string): QueryError {
  return new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${label}: rows may be stored ${stored}, and an upsert would not see all of them. Find the row and save it; with ` +
      'rows under an older index, rewriting them first helps as well.',
  );
}

/**
 * A cell and the values it is bound to are overwritten together or not at all; those that the row is found by are equal
 * in both rows.
 */
function refuseUnboundOverwrite(
  family: Family,
  column: EncryptedColumn,
  overwrite: ReadonlySet<string>,
  conflict: string | readonly string[] | undefined,
): void {
  const isCellOverwritten = overwrite.has(column.cell.databaseName);
  for (const bound of column.bound) {
    const { databaseName, propertyPath } = bound.column;
    if (overwrite.has(databaseName) === isCellOverwritten) continue;
    if (isEqualOnConflict(family, column.metadata, conflict, bound)) continue;
    throw new SealError(
      'ERR_SEAL_BINDING',
      `${column.label} is bound to ${propertyPath}: an upsert must overwrite both or neither, ` +
        (family === 'mysql'
          ? `since MySQL and MariaDB find its row by any unique key of the table.`
          : `or find its row by ${propertyPath}.`),
    );
  }
}

function refuseInsertFromSelect(
  columns: readonly EncryptedColumn[],
  inserted: readonly ColumnMetadata[],
): void {
  const column = columns.find((one) =>
    [one.cell, ...siblingsOf(one)].some((part) => inserted.includes(part)),
  );
  if (!column) return;
  throw new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${column.label} is encrypted and cannot be filled by INSERT … SELECT: cells are sealed for their column and cannot ` +
      'be copied. Load the entities and save them.',
  );
}

function comparesCells({ label }: EncryptedColumn): QueryError {
  return new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${label} is encrypted: with skipUpdateIfNoValuesChanged the database would compare cells, which differ at every ` +
      'sealing, and write every row. Find the row and save() it, which writes what has changed, or leave the option out.',
  );
}

function siblingAlone(column: EncryptedColumn, sibling: string): QueryError {
  return new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${sibling} is written together with ${column.label} and cannot be written alone. Name ${column.cell.propertyPath} instead.`,
  );
}
