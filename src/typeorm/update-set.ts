/** What an UPDATE sets, and what is known about the rows that it sets it in. */
import { UpdateResult } from 'typeorm';
import { QueryError, SealError } from '../errors.js';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, Row } from './internals.js';

/** The result of an update that matches no row, or changes nothing. */
export const nothingWritten = (): UpdateResult =>
  Object.assign(new UpdateResult(), { raw: [], affected: 0, generatedMaps: [] });

/** The columns that a set gives a value to seal. */
export function setIn(columns: readonly EncryptedColumn[], set: Row): readonly EncryptedColumn[] {
  return columns.filter(({ cell }) => (cell.getEntityValue(set) ?? null) !== null);
}

/** The bound values of a row: from the set, where it has them. */
export function boundOf(columns: readonly EncryptedColumn[], set: Row, known: Row): Row {
  const values: Row = {};
  for (const { column } of columns.flatMap(({ bound }) => bound)) {
    const given: unknown = column.getEntityValue(set);
    column.setEntityValue(values, given === undefined ? column.getEntityValue(known) : given);
  }
  return values;
}

/**
 * A derived set without the embedded fields and masks that have no value in it: TypeORM skips such a property of the row
 * itself, and writes NULL for one of an embedded object.
 * @throws QueryError `ERR_QUERY_UNSUPPORTED` for a value under a path in text, where TypeORM finds none and writes NULL.
 */
export function withoutUnset(columns: readonly EncryptedColumn[], set: Row): Row {
  let rest = set;
  for (const { cell, mask, label } of columns) {
    if (cell.embeddedMetadata === undefined || cell.getEntityValue(set) !== undefined) continue;
    const path = cell.propertyPath.split('.');
    if (valueUnder(set, path) !== undefined) throw pathInText(label, path);
    for (const unset of mask ? [path, mask.propertyPath.split('.')] : [path])
      if (isGiven(rest, unset)) rest = without(rest, unset);
  }
  return rest;
}

/** What stands under a path, however many of its names are one key: `{ 'a.b': { c } }`, `{ a: { 'b.c': … } }`. */
function valueUnder(set: unknown, path: readonly string[]): unknown {
  if (path.length === 0) return set;
  if (typeof set !== 'object' || set === null) return undefined;
  return path
    .map((_, at) => valueUnder((set as Row)[path.slice(0, at + 1).join('.')], path.slice(at + 1)))
    .find((value) => value !== undefined);
}

function isGiven(set: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return true;
  return typeof set === 'object' && set !== null && name in set && isGiven((set as Row)[name], rest);
}

/** A copy without one property, and without the embedded objects that it leaves empty. */
export function without(set: Row, [name, ...rest]: readonly string[]): Row {
  const { [name!]: value, ...others } = set;
  const inner = rest.length > 0 ? without(value as Row, rest) : {};
  return Object.keys(inner).length > 0 ? { ...others, [name!]: inner } : others;
}

export function notPrepared([column]: readonly EncryptedColumn[], unknown: ColumnMetadata): SealError {
  return new SealError(
    'ERR_SEAL_NOT_PREPARED',
    `${column!.label} is bound to ${unknown.propertyPath}, which neither the set nor the criteria tell. execute() reads it ` +
      `from the matched rows; for SQL alone give ${unknown.propertyPath} by plain equality in the criteria.`,
  );
}

function pathInText(label: string, path: readonly string[]): QueryError {
  const object = path.reduceRight((inner, name) => `{ ${name}: ${inner} }`, '…');
  return new QueryError(
    'ERR_QUERY_UNSUPPORTED',
    `${label} is set under the path '${path.join('.')}', for which TypeORM would write NULL. Set it as ${object}.`,
  );
}

/**
 * @throws QueryError `ERR_QUERY_UNSUPPORTED` for a sibling without its cell; SealError `ERR_SEAL_BINDING` for a bound value
 *   without it.
 */
export function refuseUnsafeSet(column: EncryptedColumn, set: Row, known: Row, isSave: boolean): void {
  const { cell, mask, bound, label } = column;
  const isSet = cell.getEntityValue(set) !== undefined;
  for (const sibling of siblingsOf(column)) {
    // Whoever gives or saves a whole entity gives its mask along; that of the value takes its place, if there is a value.
    if (sibling === mask && (isSet || isSave)) continue;
    if (sibling.getEntityValue(set) !== undefined) {
      throw new QueryError(
        'ERR_QUERY_UNSUPPORTED',
        `${sibling.propertyPath} is written together with ${label} and cannot be set. Set ${cell.propertyPath} instead.`,
      );
    }
  }
  for (const { column: boundTo } of bound) {
    const value: unknown = boundTo.getEntityValue(set);
    if (value === undefined || isSet || value === boundTo.getEntityValue(known)) continue;
    throw new SealError(
      'ERR_SEAL_BINDING',
      `${label} is bound to ${boundTo.propertyPath}: changing that alone would make its cell unreadable. ` +
        `Set ${cell.propertyPath} in the same statement.`,
    );
  }
}
