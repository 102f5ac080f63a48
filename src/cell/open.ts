/** Opening: cells of one column become values. */
import { type FieldSealError, FormatError, isFieldSealError, OpenError } from '../errors.js';
import { Batch } from './batch.js';
import { type Codec, codecOf } from './codecs.js';
import { type CellColumn, nameOf } from './column.js';
import type { DataKey } from './data-key.js';
import { type ByteOne, byteOneOf, malformed } from './format.js';
import { HEADER_BYTES } from './header.js';
import { type KeyGroup, KeyGroups } from './key-groups.js';
import { unpaddedEnd } from './padding.js';
import { type Suite, TAG_BYTES } from './suites.js';

export interface OpenOptions {
  /** Suites that the column opens; others are refused before a key is touched. */
  readonly accept: readonly Suite[];
  /** By row; required for each cell of a bound column. */
  readonly bindings?: readonly (Uint8Array | undefined)[];
  /** Of the sibling column, by row. `undefined`: not read. `null`: read and NULL, which no cell may have beside it. */
  readonly fingerprints?: readonly (string | null | undefined)[];
}

/** Values by row; a row is in `failures`, or its value is set, or it had no key. */
export interface OpenedCells {
  readonly values: unknown[];
  /** Undefined when nothing failed. */
  readonly failures: Map<number, FieldSealError> | undefined;
}

interface Page {
  readonly column: CellColumn;
  readonly codec: Codec;
  readonly cells: readonly (Uint8Array | null | undefined)[];
  readonly options: OpenOptions;
  readonly values: unknown[];
  failures: Map<number, FieldSealError> | undefined;
}

const batch = new Batch();

/**
 * Opens cells of one column, each with its own key. `null` and `undefined` become `null`; a cell without a key is left
 * for the caller, its value `undefined`. A cell that cannot be opened is in `failures` by its row, its value
 * `undefined`, and does not hinder its neighbours. Synchronous, no I/O. Opened `bytes` are copies of their own.
 *
 * Failures: FormatError `ERR_FORMAT_CELL`, `ERR_FORMAT_NOT_ACCEPTED`; OpenError `ERR_OPEN_FAILED` whatever else is
 * wrong, `ERR_OPEN_CIPHER` when the cipher itself failed and another try can help.
 * @throws KeyError `ERR_KEY_CLOSED`
 */
export function openCells(
  column: CellColumn,
  cells: readonly (Uint8Array | null | undefined)[],
  keys: readonly (DataKey | undefined)[],
  options: OpenOptions,
): { values: unknown[]; failures: Map<number, FieldSealError> | undefined } {
  const codec = codecOf(column.codec, nameOf(column));
  const values = new Array<unknown>(cells.length).fill(undefined);
  const page: Page = { column, codec, cells, options, values, failures: undefined };
  for (const group of groupRows(page, keys)) openGroup(page, group);
  return { values, failures: page.failures };
}

function groupRows(page: Page, keys: readonly (DataKey | undefined)[]): readonly KeyGroup[] {
  const { column, cells, options, values } = page;
  const groups = new KeyGroups();
  for (let row = 0; row < cells.length; row++) {
    const cell = cells[row];
    if (cell === null || cell === undefined) {
      values[row] = null;
      continue;
    }
    const key = keys[row];
    if (!key) continue;
    const byteOne = byteOneOf(cell);
    if (!byteOne) fail(page, row, malformed(cell));
    else if (column.bound && !options.bindings?.[row]) fail(page, row, unbound(column, key));
    else if (!isSibling(options.fingerprints?.[row], key)) fail(page, row, openFailed(column, key));
    else groups.add(row, key, byteOne.byte);
  }
  return groups.groups;
}

function openGroup(page: Page, { key, rows }: KeyGroup): void {
  const { column, cells, options } = page;
  const byteOne = byteOneOf(cells[rows[0]!]!)!;
  if (byteOne.delivery !== 'pool' || !options.accept.includes(byteOne.suite.suite)) {
    for (const row of rows) fail(page, row, notAccepted(column, byteOne));
    return;
  }
  const overhead = byteOne.suite.nonceBytes + TAG_BYTES;
  const bindings = column.bound ? options.bindings : undefined;
  const of = { column, byteOne: byteOne.byte, fingerprint: key.fingerprint, bindings };
  let at = 0;
  while (at < rows.length) {
    batch.begin(of);
    while (at < rows.length) {
      const row = rows[at]!;
      if (!batch.add(row, cells[row]!.length - HEADER_BYTES - overhead, overhead)) break;
      at += 1;
    }
    openBatch(page, key, byteOne);
  }
}

function openBatch(page: Page, key: DataKey, byteOne: ByteOne): void {
  const cipher = key.forSuite(byteOne.suite.suite);
  try {
    batch.reserve();
    for (let i = 0; i < batch.n; i++) batch.frames.bytes.set(page.cells[batch.rows[i]!]!, batch.frameAt(i));
    cipher.open(batch);
    for (let i = 0; i < batch.n; i++) takeValue(page, key, byteOne, i);
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    failBatch(page, key);
  } finally {
    batch.wipe();
  }
}

/** Looks at no byte of a text whose tag was wrong. */
function takeValue(page: Page, key: DataKey, byteOne: ByteOne, i: number): void {
  const row = batch.rows[i]!;
  const start = batch.textAt(i);
  let value: unknown;
  if (batch.verified[i] === 1 && batch.hasFingerprint(i, key.fingerprintWords)) {
    const { bytes } = batch.texts;
    const end = start + batch.lengths[i]!;
    const textEnd = byteOne.padded ? unpaddedEnd(bytes, start, end) : end;
    if (textEnd >= start) value = page.codec.decode(bytes, start, textEnd);
  }
  if (value === undefined) fail(page, row, openFailed(page.column, key));
  else page.values[row] = value;
}

function isSibling(fingerprint: string | null | undefined, key: DataKey): boolean {
  if (fingerprint === undefined || fingerprint === key.fingerprint) return true;
  return fingerprint?.toLowerCase() === key.fingerprint; // some databases print UUIDs in upper case
}

function fail(page: Page, row: number, error: FieldSealError): void {
  page.values[row] = undefined;
  (page.failures ??= new Map<number, FieldSealError>()).set(row, error);
}

function failBatch(page: Page, key: DataKey): void {
  for (let i = 0; i < batch.n; i++) {
    fail(
      page,
      batch.rows[i]!,
      new OpenError(
        'ERR_OPEN_CIPHER',
        `${nameOf(page.column)}: the cipher under key ${key.fingerprint} failed; nothing was opened, try again.`,
      ),
    );
  }
}

function openFailed(column: CellColumn, key: DataKey): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `${nameOf(column)}: expected a cell that key ${key.fingerprint} sealed for this column, row and declaration, ` +
      `got one that does not verify; it was changed or moved, or type, bind, context, application or environment ` +
      `were declared otherwise when it was sealed.`,
  );
}

function unbound(column: CellColumn, key: DataKey): OpenError {
  return new OpenError(
    'ERR_OPEN_FAILED',
    `${nameOf(column)}: expected the bound values of the row to open a cell under key ${key.fingerprint}, got none; ` +
      `read the bound columns together with the cell.`,
  );
}

function notAccepted(column: CellColumn, { suite, delivery }: ByteOne): FormatError {
  return new FormatError(
    'ERR_FORMAT_NOT_ACCEPTED',
    `${nameOf(column)}: got a cell of suite ${suite.suite} and delivery ${delivery}, which the policy of the purpose ` +
      `does not accept; add it to accept.suites where such cells are expected.`,
  );
}
