/**
 * The rows that a statement carries in place of the user's: cells, fingerprints and blind indexes from one sealing of
 * all of them. The user's objects are read, never changed.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { QueryError, SealError } from '../errors.js';
import type { FieldSealPages, PreparedKeys, SealedColumn, ValuesOfColumn } from '../keys/field-seal.js';
import { bindingOfEntity } from './bound-columns.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, ExpressionMapInternals, Row } from './internals.js';
import { isSealed } from './sealed.js';
import { storedFingerprint } from './stored-fingerprint.js';
import { SealedCell } from './transformer.js';

/**
 * What sealing these rows will need, for `prepare`, which looks only at whether there is a value.
 * @param late Whether listeners are still to run, which may set any of them.
 */
export function valuesToPrepare(
  columns: readonly EncryptedColumn[],
  rows: readonly Row[],
  late: boolean,
): ValuesOfColumn[] {
  if (!late) return valuesOf(columns, rows);
  return columns.map((column) => ({ column: column.handle, values: rows.map(() => true) }));
}

function valuesOf(columns: readonly EncryptedColumn[], rows: readonly Row[]): ValuesOfColumn[] {
  return columns.map((column) => ({
    column: column.handle,
    values: rows.map((row) => plaintextOf(column, row)),
  }));
}

/** One derived row per row, sealed as one batch. `bindFrom` gives the object with the bound properties of a row. */
export function deriveRows(
  dataSource: DataSource,
  seal: FieldSealPages,
  columns: readonly EncryptedColumn[],
  rows: readonly Row[],
  prepared: PreparedKeys | undefined,
  bindFrom: (row: Row) => object = (row) => row,
): Row[] {
  const inputs = valuesOf(columns, rows).map((input, i) => {
    const { bound, label } = columns[i]!;
    if (bound.length === 0) return input;
    const bindings = rows.map((row, at) =>
      isSet(input.values[at]) ? bindingOfEntity(dataSource, bound, bindFrom(row), label) : undefined,
    );
    return { ...input, bindings };
  });
  const sealed = seal.sealRows(inputs, prepared);
  return rows.map((row, at) => {
    const derived = copyOf(columns, row);
    columns.forEach((column, i) => {
      if (inputs[i]!.values[at] !== undefined) place(derived, column, sealed[i]!, at);
      // Without a value there is no mask, whatever the caller's object shows.
      else if (column.mask?.getEntityValue(derived) !== undefined)
        setProperty(derived, column.mask, undefined);
    });
    return derived;
  });
}

/** Whether a statement still tells somebody of its rows before its SQL is made; `save()` has told them already. */
export function isHeardBefore(
  { subscribers }: DataSource,
  { callListeners }: ExpressionMapInternals,
  listeners: EntityMetadata['beforeInsertListeners'],
  event: 'beforeInsert' | 'beforeUpdate',
): boolean {
  return (
    callListeners &&
    (listeners.length > 0 || subscribers.some((subscriber) => subscriber[event] !== undefined))
  );
}

const isSet = (value: unknown): boolean => value !== null && value !== undefined;

function plaintextOf(column: EncryptedColumn, row: Row): unknown {
  const value: unknown = column.cell.getEntityValue(row);
  if (typeof value === 'function') {
    throw new QueryError(
      'ERR_QUERY_UNSUPPORTED',
      `${column.label} is encrypted and cannot be set by an SQL expression. Give its value.`,
    );
  }
  if (isSealed(value)) {
    throw new SealError(
      'ERR_SEAL_TYPE',
      `${column.label}: expected a value, got one that is still sealed. Open it first.`,
    );
  }
  return value;
}

/** A copy that reads like the row for every column, with own copies of the embedded objects that will be written to. */
function copyOf(columns: readonly EncryptedColumn[], row: Row): Row {
  const copy: Row = { ...row };
  // Accessors on the class of an entity are not own properties.
  for (const { propertyName, embeddedMetadata, relationMetadata } of columns[0]!.metadata.columns) {
    // Reading a lazy relation would start a query; what it holds already is an own property.
    if (relationMetadata?.isLazy) continue;
    const name = embeddedMetadata?.parentPropertyNames[0] ?? propertyName;
    if (!(name in copy) && name in row) copy[name] = row[name];
  }
  for (const { cell } of columns) {
    let parent = copy;
    for (const name of cell.embeddedMetadata?.parentPropertyNames ?? []) {
      if (typeof parent[name] !== 'object' || parent[name] === null) break;
      parent = parent[name] = { ...(parent[name] as Row) };
    }
  }
  return copy;
}

function place(derived: Row, column: EncryptedColumn, sealed: SealedColumn, at: number): void {
  const cell = sealed.cells[at] ?? null;
  setProperty(derived, column.cell, cell && new SealedCell(cell));
  const fingerprint = sealed.fingerprints[at] ?? null;
  setProperty(derived, column.key, fingerprint && storedFingerprint(column.key, fingerprint));
  if (column.index) setProperty(derived, column.index, sealed.indexes?.[at] ?? null);
  if (column.mask) setProperty(derived, column.mask, sealed.masks?.[at] ?? null);
}

/** Sets a property by its path; unlike `setEntityValue`, makes no object of an embedded class, with its own defaults. */
export function setProperty(row: Row, column: ColumnMetadata, value: unknown): void {
  let parent = row;
  for (const name of column.embeddedMetadata?.parentPropertyNames ?? [])
    parent = (parent[name] ??= {}) as Row;
  parent[column.propertyName] = value;
}
