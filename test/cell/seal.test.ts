import { describe, expect, test } from 'vitest';
import { sealCells } from '../../src/cell/seal.js';
import {
  accepting,
  openCells,
  openOne,
  sealOne,
  someColumn,
  someKey,
  SUITE_NAMES,
  thrownBy,
} from './fixtures.js';

describe.each(SUITE_NAMES)('sealCells with %s', (suite) => {
  const column = someColumn();

  test('gives two cells for one value sealed twice', () => {
    const key = someKey();
    expect(sealOne('x', { key, suite }).equals(sealOne('x', { key, suite }))).toBe(false);
  });

  test('seals a page under several keys, each cell under its own', () => {
    const keys = Array.from({ length: 7 }, () => someKey());
    const values = Array.from({ length: 3000 }, (_, i) => 'x'.repeat(i % 90));
    const keyOf = values.map((_, i) => keys[(i * 31) % 7]!);
    const { cells, bytes } = sealCells(suite, column, values, keyOf);
    expect(bytes).toBe(values.reduce((sum, value) => sum + value.length, 0));
    expect(openCells(column, cells, keyOf, { accept: accepting(suite) }).values).toEqual(values);
    const wrongKeys = [...keyOf.slice(1), keyOf[0]!];
    const { failures } = openCells(column, cells, wrongKeys, { accept: accepting(suite) });
    expect(failures?.size).toBe(3000);
  });

  test('seals nothing when one value of the page is refused', () => {
    const key = someKey();
    const bytes = { counted: 0 };
    const error = thrownBy(() => {
      bytes.counted = sealCells(suite, column, ['good', 5], [key, key]).bytes;
    });
    expect(error.code).toBe('ERR_SEAL_TYPE');
    expect(bytes.counted).toBe(0);
  });

  test('needs a key where there is a value, and none where there is none', () => {
    expect(sealCells(suite, column, [null, undefined], [undefined, undefined])).toEqual({
      cells: [null, null],
      bytes: 0,
    });
    expect(thrownBy(() => sealCells(suite, column, ['x'], [undefined])).code).toBe('ERR_SEAL_NOT_PREPARED');
    expect(thrownBy(() => sealCells(suite, column, ['x'], [])).code).toBe('ERR_SEAL_NOT_PREPARED');
  });

  test('seals a value that looks like a cell like any other', () => {
    const key = someKey();
    const bytes = someColumn({ codec: 'bytes' });
    const cell = sealOne('inner', { key, suite });
    const twice = sealOne(cell, { key, suite, column: bytes });
    expect((openOne(twice, { key, suite, column: bytes }) as Buffer).equals(cell)).toBe(true);
  });

  test('hides lengths up to the padding, and says so in byte 1', () => {
    const key = someKey();
    const padded = someColumn({ pad: 16 });
    const lengths = ['', 'a', 'a'.repeat(15)].map(
      (value) => sealOne(value, { key, suite, column: padded }).length,
    );
    expect(new Set(lengths).size).toBe(1);
    expect(sealOne('a'.repeat(16), { key, suite, column: padded })).toHaveLength(lengths[0]! + 16);
    const cell = sealOne('a', { key, suite, column: padded });
    expect(cell[1]! & 8).toBe(8);
    expect(openOne(cell, { key, suite, column: someColumn() })).toBe('a');
    cell[1]! ^= 8;
    expect(openOne(cell, { key, suite, column: padded })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  test('counts padding as sealed bytes', () => {
    expect(sealCells(suite, someColumn({ pad: 16 }), ['abc', null], [someKey(), undefined]).bytes).toBe(16);
  });

  test('gives cells whose memory holds cells and nothing else', () => {
    const key = someKey();
    const values = Array.from({ length: 200 }, (_, i) => `secret number ${i}, spelt out at some length`);
    const { cells } = sealCells(
      suite,
      column,
      values,
      values.map(() => key),
    );
    expect(Buffer.from(cells[0]!.buffer).includes('secret')).toBe(false);
    expect(cells[0]!.buffer.byteLength).toBeLessThanOrEqual(66 * 1024);
  });
});

test('sealCells refuses a suite that is not in the table', () => {
  for (const suite of ['aes-128-gcm', '__proto__', 'constructor']) {
    expect(thrownBy(() => sealOne('x', { key: someKey(), suite: suite as never })).code).toBe(
      'ERR_CONFIG_OPTION',
    );
  }
});
