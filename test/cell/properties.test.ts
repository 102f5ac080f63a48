import { randomBytes, randomInt } from 'node:crypto';
import { aessiv } from '@noble/ciphers/aes.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CellColumn, cellColumn, contextOf } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { parseCell } from '../../src/cell/format.js';
import { isWellFormed } from '../../src/cell/well-formed.js';
import { withRoot } from '../../src/cell/key-schedule.js';
import { sealCells } from '../../src/cell/seal.js';
import {
  accepting,
  openCells,
  openOne,
  OWNER,
  runs,
  sealOne,
  someColumn,
  someKey,
  SUITE_NAMES,
} from './fixtures.js';

const FAILED = { code: 'ERR_OPEN_FAILED' };
const NAMES = ['application', 'environment', 'purpose', 'entity', 'field'] as const;

describe.each(SUITE_NAMES)('a cell of %s', (suite) => {
  const key = someKey();

  test('comes back as it was, whatever the text and padding', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 255 }), (value, pad) => {
        const column = someColumn({ pad });
        expect(openOne(sealOne(value, { key, suite, column }), { key, suite, column })).toBe(value);
      }),
      { numRuns: runs(300) },
    );
  });

  test('is refused with any bit flipped', () => {
    const binding = Buffer.from('row 7');
    for (const column of [someColumn(), someColumn({ bound: true, pad: 16 })]) {
      const sealing = { key, suite, column, ...(column.bound && { binding }) };
      const cell = sealOne('4111111111111111 and some more', sealing);
      for (let bit = 0; bit < cell.length * 8; bit++) {
        const flipped = Buffer.from(cell);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(openOne(flipped, sealing), `bit ${bit}`).toHaveProperty('code');
      }
    }
  });

  test('is refused cut off, extended, and with another cell in its place', () => {
    const cell = sealOne('x'.repeat(40), { key, suite });
    for (let length = 0; length < cell.length; length++) {
      expect(openOne(cell.subarray(0, length), { key, suite })).toHaveProperty('code');
    }
    for (const tail of [Buffer.of(0), Buffer.alloc(16), cell.subarray(-16), Buffer.of(0x80)]) {
      expect(openOne(Buffer.concat([cell, tail]), { key, suite })).toMatchObject(FAILED);
    }
    const other = sealOne('y'.repeat(40), { key, suite });
    for (const at of [18, 34, 50]) {
      const spliced = Buffer.concat([cell.subarray(0, at), other.subarray(at)]);
      if (at === 18) expect(openOne(spliced, { key, suite })).toBe('y'.repeat(40));
      else expect(openOne(spliced, { key, suite })).toMatchObject(FAILED);
    }
  });

  test.each(NAMES)('is refused under a column whose %s differs by one character', (name) => {
    const column = someColumn();
    const cell = sealOne('x', { key, suite, column });
    for (const other of [`${column[name]}x`, column[name].slice(1), `${column[name].slice(0, -1)}\u0000`]) {
      expect(openOne(cell, { key, suite, column: someColumn({ [name]: other }) })).toMatchObject(FAILED);
    }
  });

  test('is refused as another type, and where names were divided otherwise', () => {
    const cell = sealOne('1', { key, suite });
    for (const codec of ['json', 'bigint', 'bytes'] as const) {
      expect(openOne(cell, { key, suite, column: someColumn({ codec }) })).toMatchObject(FAILED);
    }
    const divided = someColumn({ entity: 'cardsp', field: 'an' });
    expect(openOne(cell, { key, suite, column: divided })).toMatchObject(FAILED);
  });

  test('is refused under a key of another application or purpose made of the same root', () => {
    const root = randomBytes(32);
    const ours = someKey(root);
    const cell = sealOne('x', { key: ours, suite });
    const theirs = DataKey.derive(root, { ...OWNER, purpose: 'personal-data' });
    expect(openOne(cell, { key: theirs, suite })).toMatchObject(FAILED);
  });
});

describe('contexts', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
    .map((text) => text.normalize('NFC'));
  const column = fc.record<CellColumn>({
    application: name,
    environment: name,
    purpose: name,
    entity: name,
    field: name,
    codec: fc.constantFrom('string', 'json'),
    pad: fc.constant(0),
    bound: fc.constant(false),
  });

  test('are equal only for equal columns', () => {
    const encode = (parts: CellColumn): string =>
      contextOf(cellColumn(parts), 1, '00112233-4455-8677-8899-aabbccddeeff').toString('hex');
    fc.assert(
      fc.property(column, column, (one, other) => {
        expect(encode(one) === encode(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { numRuns: runs(300) },
    );
    // Moving the border between two names is what a concatenation without lengths would not notice.
    fc.assert(
      fc.property(column, fc.constantFrom(0, 1, 2, 3), (parts, i) => {
        const [left, right] = [NAMES[i], NAMES[i + 1]!];
        const moved = {
          ...parts,
          [left]: parts[left] + parts[right][0]!,
          [right]: parts[right].slice(1) || 'x',
        };
        fc.pre(
          NAMES.every((each) => isWellFormed(moved[each]) && moved[each] === moved[each].normalize('NFC')),
        );
        expect(encode(moved)).not.toBe(encode(parts));
      }),
      { numRuns: runs(300) },
    );
  });
});

describe('cells of suite 1', () => {
  interface Known {
    readonly key: DataKey;
    readonly sivKey: Buffer;
  }

  function known(): Known {
    const root = randomBytes(32);
    const sivKey = withRoot(Buffer.from(root), 'data', OWNER, (derive) => Buffer.from(derive('siv', 64)));
    return { key: DataKey.derive(root, OWNER), sivKey };
  }

  /** What @noble/ciphers reads in a cell. */
  function openWithNoble(cell: Buffer, column: CellColumn, { key, sivKey }: Known, binding?: Buffer): Buffer {
    const { byteOne, nonce, body } = parseCell(cell);
    const components = [contextOf(column, byteOne, key.fingerprint), ...(binding ? [binding] : []), nonce];
    return Buffer.from(aessiv(sivKey, ...components).decrypt(body));
  }

  const lengthsOf = {
    'every length from 0 to 200': () => [...Array(201).keys()],
    'random lengths': () => Array.from({ length: runs(400) }, () => randomInt(700)),
    'many short and few long ones': () => [...Array<number>(300).fill(9), 5000, 30_000, 100_000, 16, 1],
    'one length': () => Array<number>(1500).fill(64),
  };

  test.each(Object.entries(lengthsOf))(
    'are AES-SIV to @noble/ciphers, for %s, under several keys',
    (_, lengths) => {
      const keys = Array.from({ length: 5 }, known);
      const values = lengths().map((length) => randomBytes(length));
      const keyOf = values.map(() => keys[randomInt(5)]!);
      for (const bound of [false, true]) {
        const column = someColumn({ codec: 'bytes', bound });
        const bindings = values.map(() => randomBytes(1 + randomInt(60)));
        const given = bound ? bindings : undefined;
        const dataKeys = keyOf.map(({ key }) => key);
        const { cells } = sealCells('aes-256-siv', column, values, dataKeys, given);
        const opened = openCells(column, cells, dataKeys, {
          accept: accepting('aes-256-siv'),
          ...(given && { bindings: given }),
        });
        expect(opened.failures).toBeUndefined();
        values.forEach((value, i) => {
          expect(
            value.equals(openWithNoble(cells[i]!, column, keyOf[i]!, given?.[i])),
            `${value.length} bytes`,
          ).toBe(true);
          expect(value.equals(opened.values[i] as Buffer), `${value.length} bytes`).toBe(true);
        });
      }
    },
  );

  test('open alike one by one and as a page, in whichever way they were sealed', () => {
    const key = someKey();
    const column = someColumn();
    const values = Array.from({ length: runs(300) }, () => 'é'.repeat(randomInt(120)));
    const keys = values.map(() => key);
    const asPage = sealCells('aes-256-siv', column, values, keys).cells as Buffer[];
    const oneByOne = values.map((value) => sealOne(value, { key, column }));
    expect(openCells(column, oneByOne, keys, { accept: accepting('aes-256-siv') }).values).toEqual(values);
    expect(asPage.map((cell) => openOne(cell, { key, column }))).toEqual(values);
  });
});
