import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { byteOneOf, fingerprintOf } from '../../src/cell/format.js';
import { sealOne, someColumn, someKey } from './fixtures.js';

/** Of one column, with the rows of each group. */
function group(cells: readonly Buffer[]) {
  const groups = new CellGroups();
  const of = { column: someColumn() };
  cells.forEach((cell, row) => {
    groups.add(of, row, cell, byteOneOf(cell)!);
  });
  return groups.all.map(({ parts, ...about }) => ({ ...about, rows: parts.flatMap(({ rows }) => rows) }));
}

describe('cell groups', () => {
  test('sorts rows by the key of their cell', () => {
    const [a, b] = [someKey(), someKey()];
    const [ofA, ofB] = [sealOne('1', { key: a }), sealOne('2', { key: b })];
    expect(group([ofB, ofA, ofB, ofA]).map(({ fingerprint, rows }) => [fingerprint, rows])).toEqual([
      [b.fingerprint, [0, 2]],
      [a.fingerprint, [1, 3]],
    ]);
  });

  test('keeps the columns of one key together, and purposes apart', () => {
    const cell = sealOne('1', { key: someKey() });
    const [pan, holder] = [{ column: someColumn() }, { column: someColumn({ field: 'holder' }) }];
    const other = { column: someColumn({ purpose: 'personal-data' }) };
    const groups = new CellGroups();
    for (const of of [pan, holder, other, other])
      for (const row of [3, 7]) groups.add(of, row, cell, byteOneOf(cell)!);
    expect(groups.all.map(({ purpose, parts }) => [purpose, parts])).toEqual([
      [
        'card-number',
        [
          { of: pan, rows: [3, 7] },
          { of: holder, rows: [3, 7] },
        ],
      ],
      ['personal-data', [{ of: other, rows: [3, 7, 3, 7] }]],
    ]);
  });

  test('tells cells of one key apart by byte 1, in any order', () => {
    const key = someKey();
    const plain = sealOne('1', { key });
    const padded = sealOne('1', { key, column: someColumn({ pad: 16 }) });
    const groups = group([plain, padded, padded, plain]);
    expect(groups.map(({ byteOne, rows }) => [byteOne.padded, rows])).toEqual([
      [false, [0, 3]],
      [true, [1, 2]],
    ]);
  });

  test('tells fingerprints apart that begin alike', () => {
    const cell = sealOne('1', { key: someKey() });
    const cells = Array.from({ length: 2000 }, (_, i) => {
      const alike = Buffer.from(cell);
      alike.writeUInt32BE(i % 1000, 14);
      return alike;
    });
    const groups = group(cells);
    expect(groups).toHaveLength(1000);
    groups.forEach(({ fingerprint, rows }, i) => {
      expect(rows).toEqual([i, i + 1000]);
      expect(fingerprint).toBe(fingerprintOf(cells[i]!));
    });
  });

  test('finds thousands of keys', () => {
    const cell = sealOne('1', { key: someKey() });
    const cells = Array.from({ length: 5000 }, () => {
      const other = Buffer.from(cell);
      randomBytes(16).copy(other, 2);
      return other;
    });
    const groups = group([...cells, ...cells]);
    expect(groups.map(({ rows }) => rows)).toEqual([...cells.keys()].map((row) => [row, row + 5000]));
  });
});
