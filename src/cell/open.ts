/** Opening: cells of one column become values. */
import { type FieldSealError, isFieldSealError, type OpenError } from '../errors.js';
import { Batch, type BatchOf, type CellsOf } from './batch.js';
import type { CellGroup, CellGroups } from './cell-groups.js';
import { type Codec, knownCodec } from './codecs.js';
import type { CellColumn } from './column.js';
import type { DataKey } from './data-key.js';
import { type ByteOne, byteOneOf, malformed } from './format.js';
import { HEADER_BYTES } from './header.js';
import { type Accepted, cipherFailed, notAccepted, openFailed, unbound } from './open-failures.js';
import { unpaddedEnd } from './padding.js';
import { TAG_BYTES } from './suites.js';

export type { Accepted } from './open-failures.js';

export interface OpenOptions {
  readonly accept: Accepted;
  /** By row; required for each cell of a bound column. */
  readonly bindings?: readonly (Uint8Array | undefined)[] | undefined;
  /** Of the sibling column, by row. `undefined`: not read. `null`: read and NULL, which no cell may have beside it. */
  readonly fingerprints?: readonly (string | null | undefined)[] | undefined;
}

/** Cells of one column on their way to values. */
export interface Opening extends CellsOf {
  readonly codec: Codec;
  readonly cells: readonly (Uint8Array | null | undefined)[];
  readonly options: OpenOptions;
  /** By row: null without a cell; undefined for rows in `failures`, and before their turn. */
  readonly values: unknown[];
  /** Undefined when nothing failed. */
  failures: Map<number, FieldSealError> | undefined;
  /** Rows with a cell. */
  count: number;
}

const batch = new Batch<Opening>();

/** Sorts the cells of one column into `groups`; bytes that are not a cell fail here. */
export function beginOpening(
  groups: CellGroups<Opening>,
  column: CellColumn,
  cells: Opening['cells'],
  options: OpenOptions,
): Opening {
  const codec = knownCodec(column.codec);
  const bindings = column.bound ? options.bindings : undefined;
  const values: unknown[] = [];
  const opening: Opening = { column, codec, cells, options, bindings, values, failures: undefined, count: 0 };
  for (let row = 0; row < cells.length; row++) {
    const cell = cells[row];
    values.push(cell ? undefined : null);
    if (!cell) continue;
    opening.count += 1;
    const byteOne = byteOneOf(cell);
    if (byteOne) groups.add(opening, row, cell, byteOne);
    else fail(opening, row, malformed(cell));
  }
  return opening;
}

/**
 * Opens the cells of one group, whatever columns they are of, into the values of their openings. A cell that cannot be
 * opened is in `failures` by its row and does not hinder its neighbours. Synchronous, no I/O. Opened `bytes` are copies
 * of their own.
 *
 * Failures: FormatError `ERR_FORMAT_NOT_ACCEPTED`; OpenError `ERR_OPEN_FAILED` whatever else is wrong, another key than
 * the cells name included, `ERR_OPEN_CIPHER` when the cipher itself failed and another try can help.
 * @param key What it says of delivery is for sealing and means nothing here.
 * @throws KeyError `ERR_KEY_CLOSED`
 */
export function openCells(key: DataKey, group: CellGroup<Opening>): void {
  const { byteOne, parts, fingerprint } = group;
  batch.begin(batchOf(group, false));
  for (const { of: opening, rows } of parts) {
    if (!isAccepted(opening, byteOne))
      failRows(opening, rows, notAccepted(opening.column, byteOne, opening.options.accept));
    else if (fingerprint !== key.fingerprint) failRows(opening, rows, openFailed(opening.column, key));
    else addCells(key, group, opening, rows);
  }
  if (batch.n > 0) openBatch(key, byteOne);
}

/** Whether any column of the group opens such cells; where none does, nobody need look for their key. */
export function isAcceptedAtAll({ byteOne, parts }: CellGroup<Opening>): boolean {
  return parts.some(({ of: opening }) => isAccepted(opening, byteOne));
}

/** For cells that no column of the group accepts. */
export function refuseCells({ byteOne, parts }: CellGroup<Opening>): void {
  for (const { of: opening, rows } of parts)
    failRows(opening, rows, notAccepted(opening.column, byteOne, opening.options.accept));
}

/** For cells whose key is not to be had. */
export function failCells({ parts }: Pick<CellGroup<Opening>, 'parts'>, error: FieldSealError): void {
  for (const { of: opening, rows } of parts) failRows(opening, rows, error);
}

const isAccepted = ({ options: { accept } }: Opening, { delivery, suite }: ByteOne): boolean =>
  accept.suites.includes(suite.suite) && accept.deliveries.includes(delivery);

const batchOf = ({ byteOne, fingerprint, header }: CellGroup<Opening>, bound: boolean): BatchOf => ({
  byteOne: byteOne.byte,
  fingerprint,
  bound,
  headerBytes: header.length,
});

function addCells(key: DataKey, group: CellGroup<Opening>, opening: Opening, rows: readonly number[]): void {
  const { bound } = opening.column;
  if (batch.of.bound !== bound) nextBatch(key, group, bound);
  const overhead = group.byteOne.suite.nonceBytes + TAG_BYTES;
  const head = HEADER_BYTES + group.header.length;
  for (const row of rows) {
    const refused = refusal(key, opening, row);
    if (refused !== undefined) {
      fail(opening, row, refused);
      continue;
    }
    const cell = opening.cells[row]!;
    const length = cell.length - head - overhead;
    if (!batch.add(opening, row, length, overhead)) {
      nextBatch(key, group, bound);
      batch.add(opening, row, length, overhead);
    }
    batch.frames.bytes.set(cell, batch.cellAt(batch.n - 1));
  }
}

/** Why a cell need not come to the cipher. */
function refusal(key: DataKey, { column, options, bindings }: Opening, row: number): OpenError | undefined {
  if (column.bound && bindings?.[row] === undefined) return unbound(column, key);
  return isSibling(options.fingerprints?.[row], key) ? undefined : openFailed(column, key);
}

function nextBatch(key: DataKey, group: CellGroup<Opening>, bound: boolean): void {
  if (batch.n > 0) openBatch(key, group.byteOne);
  batch.begin(batchOf(group, bound));
}

function openBatch(key: DataKey, byteOne: ByteOne): void {
  try {
    const cipher = key.forSuite(byteOne.suite.suite);
    batch.reserve();
    cipher.open(batch);
    for (let i = 0; i < batch.n; i++) takeValue(key, byteOne, i);
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    failBatch(key);
  } finally {
    batch.wipe();
  }
}

/** Looks at no byte of a text whose tag was wrong. */
function takeValue(key: DataKey, byteOne: ByteOne, i: number): void {
  const opening = batch.parts[i]!;
  const row = batch.rows[i]!;
  const start = batch.textAt(i);
  let value: unknown;
  if (batch.verified[i] === 1) {
    const { bytes } = batch.texts;
    const end = start + batch.lengths[i]!;
    const textEnd = byteOne.padded ? unpaddedEnd(bytes, start, end) : end;
    if (textEnd >= start) value = opening.codec.decode(bytes, start, textEnd);
  }
  if (value === undefined) fail(opening, row, openFailed(opening.column, key));
  else opening.values[row] = value;
}

function isSibling(fingerprint: string | null | undefined, key: DataKey): boolean {
  if (fingerprint === undefined || fingerprint === key.fingerprint) return true;
  return fingerprint?.toLowerCase() === key.fingerprint; // some databases print UUIDs in upper case
}

function failRows(opening: Opening, rows: readonly number[], error: FieldSealError): void {
  for (const row of rows) fail(opening, row, error);
}

/** Leaves the row without a value. */
function fail(opening: Opening, row: number, error: FieldSealError): void {
  opening.values[row] = undefined;
  (opening.failures ??= new Map<number, FieldSealError>()).set(row, error);
}

function failBatch(key: DataKey): void {
  for (let i = 0; i < batch.n; i++) {
    const opening = batch.parts[i]!;
    fail(opening, batch.rows[i]!, cipherFailed(opening.column, key));
  }
}
