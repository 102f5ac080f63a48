/** Opening rows that were not loaded as entities: raw SQL, `getRawMany`, `stream()`, a dump. */
import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { QueryError } from '../errors.js';
import {
  describeValue,
  listOf,
  mapOf,
  optionError,
  parseOptions,
  text,
  withDefault,
} from '../keys/options.js';
import { attachmentOf } from './attach.js';
import { makeOpener, ON_UNOPENABLE, type OnUnopenable } from './opener.js';
import { openPage, type PageColumn } from './page.js';
import type { ColumnMetadata, Row } from './internals.js';
import { OpenedValue } from './transformer.js';

/** Which property of the entity each column of a raw row holds: `{ card_pan: 'pan', card_id: 'id' }`. */
export type RawMapping = Readonly<Record<string, string>>;

export interface OpenRawOptions {
  /** What becomes of a cell that cannot be opened. Default: as the DataSource was attached. */
  readonly onUnopenable?: OnUnopenable;
}

/**
 * Copies of the rows with the encrypted columns of the mapping opened; the rows themselves are not changed. All keys
 * that are missing are loaded in one batch per purpose.
 *
 * @param mapping Raw column to property path. Properties that an encrypted field is bound to must be in it.
 * @throws QueryError `ERR_QUERY_UNSUPPORTED` for a property that is not there; ConfigError `ERR_CONFIG_ORM`,
 *   `ERR_CONFIG_OPTION`; with `onUnopenable: 'throw'` the FormatError, KeyError, KmsError or OpenError of the first cell
 *   that cannot be opened. With `'sealed'`, and always under a write-only field seal, such a cell becomes a `Sealed` value.
 */
export async function openRaw<R extends object>(
  dataSource: DataSource,
  entity: EntityTarget<ObjectLiteral>,
  rows: readonly R[],
  mapping: RawMapping,
  options: OpenRawOptions = {},
): Promise<R[]> {
  const { seal, columnsOf, onUnopenable } = attachmentOf(dataSource);
  const parsed = parseOptions({ onUnopenable: withDefault(ON_UNOPENABLE, onUnopenable) }, options, 'openRaw');
  if (!dataSource.hasMetadata(entity))
    throw optionError('openRaw: entity', 'an entity of the DataSource', describeValue(entity));
  const metadata = dataSource.getMetadata(entity);
  const propertyPaths = mapOf(text('a property path'))(mapping, 'openRaw: mapping');
  const rawNames = new Map(Array.from(propertyPaths, ([rawName, path]) => [path, rawName]));
  for (const path of rawNames.keys()) {
    if (metadata.findColumnWithPropertyPath(path)) continue;
    throw new QueryError(
      'ERR_QUERY_UNSUPPORTED',
      `openRaw: the entity ${metadata.name} has no property "${path}".`,
    );
  }
  const copies = listOf(copyOfRow)(rows, 'openRaw: rows') as Row[];
  if (copies.length === 0) return [];
  const rawNameOf = ({ propertyPath }: ColumnMetadata) => rawNames.get(propertyPath);
  const columns = columnsOf(metadata).flatMap((column): PageColumn[] => {
    const rawName = rawNameOf(column.cell);
    // Rows of a dump need not have the same properties; one that lacks the cell has nothing to open.
    if (rawName === undefined || copies.every((row) => row[rawName] === undefined)) return [];
    return [{ column, rawName, keyName: rawNameOf(column.key), rawNameOf, searchedBy: undefined }];
  });
  await openPage(makeOpener(seal, parsed.onUnopenable), seal, columns, copies, false);
  return copies.map((copy) => unboxed(copy) as R);
}

function copyOfRow(row: unknown, path: string): Row {
  if (typeof row === 'object' && row !== null) return { ...row };
  throw optionError(path, 'a row', describeValue(row));
}

function unboxed(row: Row): Row {
  for (const [name, value] of Object.entries(row)) if (value instanceof OpenedValue) row[name] = value.value;
  return row;
}
