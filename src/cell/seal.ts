/** Sealing: values of one column become cells. */
import { isFieldSealError, SealError } from '../errors.js';
import { Batch } from './batch.js';
import { codecOf, type Encoded, MAX_VALUE_BYTES } from './codecs.js';
import { type CellColumn, nameOf } from './column.js';
import type { DataKey } from './data-key.js';
import { byteOneFor } from './format.js';
import { HEADER_BYTES } from './header.js';
import { type KeyGroup, KeyGroups } from './key-groups.js';
import { paddedLength, writePadding } from './padding.js';
import { type Suite, type SuiteEntry, suiteEntry, TAG_BYTES } from './suites.js';
import { sizeOf, writeText } from './text.js';

/** Values that passed every check and wait for the cipher. */
interface Page {
  readonly suite: SuiteEntry;
  readonly column: CellColumn;
  readonly encoded: readonly (Encoded | undefined)[];
  readonly sizes: number[];
  readonly bindings: readonly (Uint8Array | undefined)[] | undefined;
  readonly cells: (Buffer | null)[];
  bytes: number;
}

const batch = new Batch<Page>();

/**
 * Seals values of one column, each under its own key, into cells of that key's delivery; `null` and `undefined` stay
 * `null`. All values are checked before the first is sealed; all are sealed or the call throws. Synchronous, no I/O. Cells
 * share memory with each other, in slabs of about 64 KiB. `bytes` counts what was enciphered, padding included.
 *
 * @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE` (a value the codec refuses, or above 16 MiB), `ERR_SEAL_BINDING`
 * (missing in a bound column, given in another), `ERR_SEAL_NOT_PREPARED` (a value without a key), `ERR_SEAL_CIPHER`;
 * KeyError `ERR_KEY_CLOSED`, `ERR_KEY_STATE` (suite 2: the key must be handed out anew)
 */
export function sealCells(
  suite: Suite,
  column: CellColumn,
  values: readonly unknown[],
  keys: readonly (DataKey | undefined)[],
  bindings?: readonly (Uint8Array | undefined)[],
): { cells: (Buffer | null)[]; bytes: number } {
  const page: Page = {
    suite: suiteEntry(suite),
    column,
    encoded: encodeAll(column, values),
    sizes: [],
    bindings: column.bound ? bindings : undefined,
    cells: new Array<Buffer | null>(values.length).fill(null),
    bytes: 0,
  };
  measureAll(page);
  for (const group of groupRows(page, keys, bindings)) sealGroup(page, group);
  return { cells: page.cells, bytes: page.bytes };
}

/**
 * Makes now what the first cell of this column under this key would make, so that sealing it makes no cipher object.
 * @throws KeyError `ERR_KEY_CLOSED`, `ERR_KEY_STATE`; SealError `ERR_SEAL_CIPHER`
 */
export function prepareToSeal(suite: Suite, column: CellColumn, key: DataKey): void {
  const byteOne = byteOneFor(suiteEntry(suite), column.pad > 0, key.delivery);
  try {
    key.forSuite(suite).prepare(column, { byteOne, fingerprint: key.fingerprint });
  } catch (error) {
    throw isFieldSealError(error) ? error : cipherFailed(column, key);
  }
}

/** Before any working memory is taken: `toJSON` of a value may run the caller's code. */
function encodeAll(column: CellColumn, values: readonly unknown[]): (Encoded | undefined)[] {
  const where = nameOf(column);
  const codec = codecOf(column.codec, where);
  return values.map((value) =>
    value === null || value === undefined ? undefined : codec.encode(value, where),
  );
}

function measureAll({ column, encoded, sizes }: Page): void {
  const where = nameOf(column);
  for (let row = 0; row < encoded.length; row++) {
    const value = encoded[row];
    const size = value === undefined ? 0 : sizeOf(value, where);
    if (size > MAX_VALUE_BYTES) {
      throw new SealError(
        'ERR_SEAL_VALUE',
        `${where}: expected at most ${MAX_VALUE_BYTES} bytes, got ${size}; store large values elsewhere, sealed in parts.`,
      );
    }
    sizes.push(size);
  }
}

function groupRows(
  { column, encoded }: Page,
  keys: readonly (DataKey | undefined)[],
  bindings: readonly (Uint8Array | undefined)[] | undefined,
): readonly KeyGroup[] {
  const groups = new KeyGroups();
  for (let row = 0; row < encoded.length; row++) {
    if (encoded[row] === undefined) continue;
    const key = keys[row];
    if (!key) {
      const where = nameOf(column);
      throw new SealError(
        'ERR_SEAL_NOT_PREPARED',
        `${where}: expected a key for row ${row}, got none; draw one first.`,
      );
    }
    checkBinding(column, bindings?.[row]);
    groups.add(row, key);
  }
  return groups.groups;
}

/** An empty binding would be the same as none in suite 2. */
function checkBinding(column: CellColumn, binding: Uint8Array | undefined): void {
  if (column.bound ? binding !== undefined && binding.length > 0 : binding === undefined) return;
  const [expected, got] = column.bound
    ? ['the bound values of the row', 'none']
    : ['no bound values', 'some'];
  throw new SealError(
    'ERR_SEAL_BINDING',
    `${nameOf(column)}: expected ${expected}, got ${got}; compare the declaration of the field with the call.`,
  );
}

function sealGroup(page: Page, { key, rows }: KeyGroup): void {
  const { suite, column } = page;
  const overhead = suite.nonceBytes + TAG_BYTES;
  const of = {
    byteOne: byteOneFor(suite, column.pad > 0, key.delivery),
    fingerprint: key.fingerprint,
    bound: column.bound,
    headerBytes: key.header.length,
  };
  let at = 0;
  while (at < rows.length) {
    batch.begin(of);
    while (at < rows.length) {
      const row = rows[at]!;
      if (!batch.add(page, row, paddedLength(page.sizes[row]!, column.pad), overhead)) break;
      at += 1;
    }
    sealBatch(page, key);
  }
}

function sealBatch(page: Page, key: DataKey): void {
  try {
    const cipher = key.forSuite(page.suite.suite);
    batch.reserve();
    for (let i = 0; i < batch.n; i++) writeValue(page, i);
    batch.writeHeads(key.fingerprintBlock, key.header);
    cipher.seal(batch);
    takeCells(page);
  } catch (error) {
    throw isFieldSealError(error) ? error : cipherFailed(page.column, key);
  } finally {
    batch.wipe();
  }
}

function cipherFailed(column: CellColumn, key: DataKey): SealError {
  return new SealError(
    'ERR_SEAL_CIPHER',
    `${nameOf(column)}: the cipher under key ${key.fingerprint} failed; nothing was sealed, seal again.`,
  );
}

function writeValue(page: Page, i: number): void {
  const row = batch.rows[i]!;
  const size = page.sizes[row]!;
  const at = batch.textAt(i);
  writeText(page.encoded[row]!, size, batch.texts.bytes, at);
  if (page.column.pad > 0) writePadding(batch.texts.bytes, at + size);
}

/** Copies the frames into one slab, whose cells are views. */
function takeCells(page: Page): void {
  const first = batch.cellAt(0);
  const overhead = HEADER_BYTES + batch.of.headerBytes + page.suite.nonceBytes + TAG_BYTES;
  const end = batch.cellAt(batch.n - 1) + overhead + batch.lengths[batch.n - 1]!;
  const slab = Buffer.allocUnsafe(end - first);
  slab.set(batch.frames.bytes.subarray(first, end));
  for (let i = 0; i < batch.n; i++) {
    const at = batch.cellAt(i) - first;
    const length = batch.lengths[i]!;
    page.cells[batch.rows[i]!] = batch.n === 1 ? slab : slab.subarray(at, at + overhead + length);
    page.bytes += length;
  }
}
