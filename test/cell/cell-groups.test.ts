import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { kekRefOf } from '../../src/cell/delivery-header.js';
import { byteOneOf, fingerprintOf, parseCell } from '../../src/cell/format.js';
import { ALL_DELIVERIES, KEY_OF, sealOne, someColumn, someEnvelopeKey, someKey } from './fixtures.js';

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

  test.each(ALL_DELIVERIES)('keeps the columns of one %s key together, and purposes apart', (delivery) => {
    const cell = sealOne('1', { key: KEY_OF[delivery]() });
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

  test('tells cells of one key apart by any bit of their delivery header, in any order', () => {
    for (const delivery of ['envelope', 'sealed'] as const) {
      const cell = sealOne('1', { key: KEY_OF[delivery]() });
      const { layout } = byteOneOf(cell)!;
      const bytes = layout.headerBytes(cell)!;
      const forged = Array.from({ length: bytes * 8 }, (_, bit) => {
        const copy = Buffer.from(cell);
        copy[18 + (bit >> 3)]! ^= 1 << (bit & 7);
        return copy;
      }).filter((copy) => byteOneOf(copy) !== undefined && layout.headerBytes(copy) === bytes);
      const groups = group([cell, ...forged, cell, ...forged]);
      expect(groups.map(({ rows }) => rows)).toEqual(
        [cell, ...forged].map((_, row) => [row, row + forged.length + 1]),
      );
    }
  });

  test('tells headers apart of which one begins like the other', () => {
    const wraps = [randomBytes(100), randomBytes(40)];
    const root = randomBytes(32);
    const short = sealOne('1', { key: someEnvelopeKey(root, wraps[0]) });
    const long = sealOne('1', { key: someEnvelopeKey(root, Buffer.concat(wraps)) });
    long.writeUInt16BE(100, 26);
    expect(group([short, long, short]).map(({ rows }) => rows)).toEqual([[0, 1, 2]]);
    long.writeUInt16BE(140, 26);
    expect(group([short, long, short]).map(({ rows }) => rows)).toEqual([[0, 2], [1]]);
  });

  test('keep the delivery header of their cells, as it can be taken apart', () => {
    const wrapped = randomBytes(184);
    const cells = [
      sealOne('1', { key: someKey() }),
      sealOne('1', { key: someEnvelopeKey(randomBytes(32), wrapped) }),
      sealOne('1', { key: KEY_OF.sealed() }),
    ];
    const [pool, envelope, sealed] = group(cells).map(({ byteOne, header }) => byteOne.layout.parse(header));
    expect(pool).toEqual({ delivery: 'pool' });
    expect(envelope).toMatchObject({ delivery: 'envelope', kekRef: kekRefOf('some KEK'), wrapped });
    expect(sealed).toEqual(parseCell(cells[2]!).header);
  });

  test('finds thousands of headers, also of one key and with the same end', () => {
    const key = someEnvelopeKey();
    const cell = sealOne('1', { key });
    for (const at of [28, 28 + 180]) {
      const cells = Array.from({ length: 5000 }, (_, i) => {
        const other = Buffer.from(cell);
        other.writeUInt32BE(i, at);
        return other;
      });
      const groups = group([...cells, ...cells]);
      expect(groups.map(({ rows }) => rows)).toEqual([...cells.keys()].map((row) => [row, row + 5000]));
    }
  });

  test('take cells that are bare byte arrays', () => {
    const cell = sealOne('1', { key: someEnvelopeKey() });
    expect(group([cell, Uint8Array.from(cell) as Buffer]).map(({ rows }) => rows)).toEqual([[0, 1]]);
  });
});
