import { createCipheriv } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { beginOpening, openCells as openGroup, type Opening } from '../../src/cell/open.js';
import { sealCells } from '../../src/cell/seal.js';
import { accepting, openCells, openOne, sealOne, someColumn, someKey, SUITE_NAMES } from './fixtures.js';

const FAILED = { code: 'ERR_OPEN_FAILED', retryable: false };

describe.each(SUITE_NAMES)('openCells with %s', (suite) => {
  const column = someColumn();
  const accept = { accept: accepting(suite) };

  test('reports each cell that fails by itself and opens its neighbours', () => {
    const keys = [someKey(), someKey()];
    const values = Array.from({ length: 50 }, (_, i) => `value ${i}`);
    const keyOf = values.map((_, i) => keys[i % 2]!);
    const { cells } = sealCells(suite, column, values, keyOf);
    const page: (Buffer | null)[] = [...cells];
    page[3]!.writeUInt8(page[3]!.at(-1)! ^ 1, page[3]!.length - 1);
    page[10] = Buffer.from('4111111111111111');
    page[11] = page[11]!.subarray(0, 40);
    page[12] = null;
    [page[20], page[21]] = [page[21]!, page[20]!];
    const opened = openCells(column, page, keyOf, accept);
    const codes = new Map([...(opened.failures ?? [])].map(([row, { code }]) => [row, code]));
    expect(codes).toEqual(
      new Map([
        [3, 'ERR_OPEN_FAILED'],
        [10, 'ERR_FORMAT_CELL'],
        [11, 'ERR_FORMAT_CELL'],
        [20, 'ERR_OPEN_FAILED'],
        [21, 'ERR_OPEN_FAILED'],
      ]),
    );
    values.forEach((value, row) => {
      expect(opened.values[row]).toBe(codes.has(row) ? undefined : row === 12 ? null : value);
    });
  });

  test('leaves cells without a key for the caller', () => {
    const key = someKey();
    const cell = sealOne('x', { key, suite });
    const opened = openCells(
      column,
      [cell, cell, null, undefined],
      [undefined, key, undefined, undefined],
      accept,
    );
    expect(opened).toEqual({ values: [undefined, 'x', null, null], failures: undefined });
  });

  test('gives nothing for an empty page', () => {
    expect(openCells(column, [], [], accept)).toEqual({ values: [], failures: undefined });
  });

  test('refuses a cell beside which the sibling column names another key, or none', () => {
    const key = someKey();
    const cell = sealOne('x', { key, suite });
    expect(openOne(cell, { key, suite }, key.fingerprint)).toBe('x');
    expect(openOne(cell, { key, suite }, key.fingerprint.toUpperCase())).toBe('x');
    expect(openOne(cell, { key, suite }, undefined)).toBe('x');
    expect(openOne(cell, { key, suite }, null)).toMatchObject(FAILED);
    expect(openOne(cell, { key, suite }, someKey().fingerprint)).toMatchObject(FAILED);
  });

  test('refuses a cell whose fingerprint was changed, even with the key that sealed it', () => {
    const key = someKey();
    const sealing = { key, suite, column }; // the one column: what is kept for it must not open the cell
    const cell = sealOne('x', sealing);
    expect(openOne(cell, sealing)).toBe('x');
    cell[17]! ^= 1;
    expect(openOne(cell, sealing)).toMatchObject(FAILED);
  });

  test('refuses a suite that the policy does not accept, before it touches the key', () => {
    const [other] = SUITE_NAMES.filter((name) => name !== suite);
    const key = someKey();
    const cell = sealOne('x', { key, suite });
    key.close();
    const { failures } = openCells(column, [cell], [key], { accept: accepting(other!) });
    expect(failures?.get(0)).toMatchObject({ code: 'ERR_FORMAT_NOT_ACCEPTED' });
    expect(failures?.get(0)?.message).toContain(suite);
  });

  test('opens cells of several columns under one key together, each with the context of its own column', () => {
    const key = someKey();
    const columns = [
      someColumn({ field: 'pan' }),
      someColumn({ field: 'holder', bound: true }),
      someColumn({ field: 'limit', codec: 'number' }),
      someColumn({ field: 'note', pad: 16 }),
    ];
    const bindings = [Buffer.from('row 0'), Buffer.from('row 1'), Buffer.from('row 2')];
    const values = [
      ['1', '2', '3'],
      ['4', '5', '6'],
      [7, 8, 9],
      ['10', '11', '12'],
    ];
    const page = columns.map((each, i) => {
      const bound = each.bound ? bindings : undefined;
      return sealCells(suite, each, values[i]!, [key, key, key], bound).cells;
    });
    [page[0]![1], page[1]![1]] = [page[1]![1]!, page[0]![1]!]; // moved to another column
    page[1]![2] = page[1]![0]!; // moved to another row
    const groups = new CellGroups<Opening>();
    const openings = columns.map((each, i) => beginOpening(groups, each, page[i]!, { ...accept, bindings }));
    for (const group of groups.all) openGroup(key, group);
    expect(openings.map((opening) => opening.values)).toEqual([
      ['1', undefined, '3'],
      ['4', undefined, undefined],
      [7, 8, 9],
      ['10', '11', '12'],
    ]);
    expect(openings.map(({ failures }) => [...(failures?.keys() ?? [])])).toEqual([[1], [1, 2], [], []]);
  });

  test('gives opened bytes memory of their own', () => {
    const key = someKey();
    const bytes = someColumn({ codec: 'bytes' });
    const values = [Buffer.from('first'), Buffer.from('second')];
    const { cells } = sealCells(suite, bytes, values, [key, key]);
    const opened = openCells(bytes, cells, [key, key], accept).values as Buffer[];
    expect(opened.map((value) => value.buffer.byteLength)).toEqual([5, 6]);
    opened[0]!.fill(0);
    expect(opened[1]!.toString()).toBe('second');
  });

  test('says in its failure which column and key, and no value or ciphertext', () => {
    const key = someKey();
    const cell = sealOne('4111111111111111', { key, suite });
    cell[cell.length - 1]! ^= 1;
    const error = openOne(cell, { key, suite }) as Error;
    expect(error.message).toContain('cards.pan');
    expect(error.message).toContain(key.fingerprint);
    expect(error.message).not.toContain('4111');
    expect(error.message).not.toContain(cell.toString('hex', 18, 26));
    expect(error.cause).toBeUndefined();
  });
});

describe('the working memory of a page', () => {
  type Update = (this: unknown, input: Buffer) => Buffer;
  type ToText = (this: Buffer, encoding?: BufferEncoding, start?: number, end?: number) => string;
  const cipherPrototype = Object.getPrototypeOf(createCipheriv('aes-256-ecb', Buffer.alloc(32), null)) as {
    update: Update;
  };
  const bufferPrototype = Buffer.prototype as { toString: ToText };

  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Every buffer that went into or came out of a cipher object, and every one that a text was decoded from. */
  function watchBuffers(): Set<Buffer> {
    const seen = new Set<Buffer>();
    const { update } = cipherPrototype;
    vi.spyOn(cipherPrototype, 'update').mockImplementation(function (this: unknown, input) {
      const output = update.call(this, input);
      seen.add(input).add(output);
      return output;
    });
    const { toString } = bufferPrototype;
    vi.spyOn(bufferPrototype, 'toString').mockImplementation(function (this: Buffer, encoding, start, end) {
      if (start !== undefined) seen.add(this);
      return toString.call(this, encoding, start, end);
    });
    return seen;
  }

  test.each([1, 40, 2000])('is zero after %i cells were sealed and opened, some of them forged', (count) => {
    const key = someKey();
    const column = someColumn({ bound: true });
    const values = Array.from({ length: count }, (_, i) => `${i} `.repeat(20 + (i % 40)));
    const keys = values.map(() => key);
    const bindings = values.map((_, i) => Buffer.from(`row ${i}`));
    sealOne('warm up', { key, column, binding: Buffer.from('row') });
    const seen = watchBuffers();
    const { cells } = sealCells('aes-256-siv', column, values, keys, bindings);
    for (let i = 1; i < count; i += 7) cells[i]![cells[i]!.length - 1]! ^= 1;
    const opened = openCells(column, cells, keys, { accept: accepting('aes-256-siv'), bindings });
    vi.restoreAllMocks();
    key.close(); // wipes the nonces that were drawn ahead
    expect(opened.values[0]).toBe(values[0]);
    expect(opened.failures?.size ?? 0).toBe(Math.ceil((count - 1) / 7));
    expect(seen.size).toBeGreaterThan(5);
    for (const buffer of seen) expect(buffer.every((byte) => byte === 0)).toBe(true);
  });
});
