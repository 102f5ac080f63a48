import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { groupCells } from '../../src/cell/cell-groups.js';
import { fingerprintOf } from '../../src/cell/format.js';
import { sealOne, someColumn, someKey } from './fixtures.js';

describe('groupCells', () => {
  test('sorts rows by the key of their cell, and leaves out rows without one', () => {
    const [a, b] = [someKey(), someKey()];
    const [ofA, ofB] = [sealOne('1', { key: a }), sealOne('2', { key: b })];
    const { groups, malformed } = groupCells([null, ofB, ofA, undefined, ofB, Buffer.from('4111'), ofA]);
    expect(groups.map(({ fingerprint, rows }) => [fingerprint, rows])).toEqual([
      [b.fingerprint, [1, 4]],
      [a.fingerprint, [2, 6]],
    ]);
    expect(malformed).toEqual([5]);
  });

  test('tells cells of one key apart by byte 1, in any order', () => {
    const key = someKey();
    const plain = sealOne('1', { key });
    const padded = sealOne('1', { key, column: someColumn({ pad: 16 }) });
    const { groups } = groupCells([plain, padded, padded, plain]);
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
    const { groups } = groupCells(cells);
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
    const { groups } = groupCells(cells);
    expect(groups.map(({ rows }) => rows)).toEqual([...cells.keys()].map((row) => [row]));
  });
});
