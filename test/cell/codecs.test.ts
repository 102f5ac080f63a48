import { describe, expect, test } from 'vitest';
import { canonicalBytes, type CodecName, codecOf, MAX_VALUE_BYTES } from '../../src/cell/codecs.js';
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

const VALUES: Record<CodecName, readonly unknown[]> = {
  string: [
    '',
    'x',
    '4111111111111111',
    'Zoë 🂡 \uFFFD',
    'e\u0301 is not é',
    '\0',
    'a'.repeat(47),
    'ä'.repeat(49),
    'z'.repeat(5000),
  ],
  number: [0, 1.5, -1e300, Number.MAX_SAFE_INTEGER, Infinity, -Infinity, Number.MIN_VALUE],
  bigint: [0n, -1n, 2n ** 200n],
  boolean: [true, false],
  date: [
    new Date(0),
    new Date('1969-12-31T23:59:59.999Z'),
    new Date(8.64e15),
    new Date(-8.64e15),
    new Date(1_700_000_000_123),
  ],
  json: [
    { b: 1, a: [null, 'ü', { c: true }] },
    [],
    '',
    0,
    false,
    'text',
    { '\\ud800': 'an escape that was written out' },
    { null: 'null', rates: [1.5, null], born: null },
  ],
  bytes: [Buffer.alloc(0), Buffer.from('ff00', 'hex'), Buffer.alloc(1000, 7)],
};
const CODECS = Object.keys(VALUES) as CodecName[];

const ENCODED: readonly (readonly [CodecName, unknown, string])[] = [
  ['string', 'é', 'c3a9'],
  ['number', 1.5, '3ff8000000000000'],
  ['number', -0, '0000000000000000'],
  ['bigint', -255n, '2d323535'],
  ['boolean', true, '01'],
  ['date', new Date(-1), 'ffffffffffffffff'],
  ['date', new Date(1_700_000_000_123), '0000018bcfe5687b'],
  ['json', { b: 1, a: 2 }, '7b2261223a322c2262223a317d'],
  ['bytes', Buffer.from('ff00', 'hex'), 'ff00'],
];

const REFUSED: readonly (readonly [CodecName, unknown, string])[] = [
  ['string', 5, 'ERR_SEAL_TYPE'],
  ['string', new String('x'), 'ERR_SEAL_TYPE'],
  ['string', Buffer.from('x'), 'ERR_SEAL_TYPE'],
  ['string', 'a\uD800', 'ERR_SEAL_VALUE'],
  ['string', `${'long '.repeat(50)}\uDC00`, 'ERR_SEAL_VALUE'],
  ['number', '5', 'ERR_SEAL_TYPE'],
  ['number', NaN, 'ERR_SEAL_VALUE'],
  ['bigint', 5, 'ERR_SEAL_TYPE'],
  ['boolean', 1, 'ERR_SEAL_TYPE'],
  ['date', '2026-01-01', 'ERR_SEAL_TYPE'],
  ['date', new Date(NaN), 'ERR_SEAL_VALUE'],
  ['json', () => 1, 'ERR_SEAL_TYPE'],
  ['json', { n: 1n }, 'ERR_SEAL_VALUE'],
  ['json', { s: '\uDFFF' }, 'ERR_SEAL_VALUE'],
  ['json', { s: '\\\uD800' }, 'ERR_SEAL_VALUE'],
  ['json', '\uD800', 'ERR_SEAL_VALUE'],
  ['json', NaN, 'ERR_SEAL_VALUE'],
  ['json', { rates: [1, Infinity] }, 'ERR_SEAL_VALUE'],
  ['json', [new Number(-Infinity)], 'ERR_SEAL_VALUE'],
  ['json', { born: new Date(NaN), note: null }, 'ERR_SEAL_VALUE'],
  ['bytes', 'text', 'ERR_SEAL_TYPE'],
  ['bytes', new Uint16Array(2), 'ERR_SEAL_TYPE'],
];

describe.each(SUITE_NAMES)('values under %s', (suite) => {
  const key = someKey();

  test.each(CODECS)(
    'of type %s come back as they were, padded or not, with null and undefined as null',
    (codec) => {
      for (const pad of [0, 1, 16, 255]) {
        const column = someColumn({ codec, pad });
        const values = [null, ...VALUES[codec], undefined];
        const { cells } = sealCells(
          suite,
          column,
          values,
          values.map(() => key),
        );
        const opened = openCells(
          column,
          cells,
          values.map(() => key),
          { accept: accepting(suite) },
        );
        expect(opened.failures).toBeUndefined();
        expect(opened.values).toEqual([null, ...VALUES[codec], null]);
        expect([cells[0], cells.at(-1)]).toEqual([null, null]);
      }
    },
  );

  test.each(REFUSED)(
    'of type %s refuse %o with %3$s, and the message does not show it',
    (codec, value, code) => {
      const column = someColumn({ codec });
      const error = thrownBy(() => sealCells(suite, column, [VALUES[codec][0], value], [key, key]));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/^cards\.pan: expected /);
      expect(error.cause).toBeUndefined();
      expect(error.message).not.toMatch(/2026-01-01|text,|long|:1/);
    },
  );

  test('as long as 16 MiB are sealed, one byte more is refused', () => {
    const column = someColumn({ codec: 'bytes' });
    const longest = Buffer.alloc(MAX_VALUE_BYTES, 'abc');
    const opened = openOne(sealOne(longest, { column, key, suite }), { column, key, suite }) as Buffer;
    expect(opened.equals(longest)).toBe(true);
    const error = thrownBy(() => sealOne(Buffer.alloc(MAX_VALUE_BYTES + 1), { column, key, suite }));
    expect(error.code).toBe('ERR_SEAL_VALUE');
    expect(error.message).toContain('16777217');
    const text = 'ä'.repeat(MAX_VALUE_BYTES / 2 + 1);
    expect(thrownBy(() => sealOne(text, { key, suite })).code).toBe('ERR_SEAL_VALUE');
  });
});

describe('codecs', () => {
  const key = someKey();

  test.each(ENCODED)('write %s %o as %s', (codec, value, expected) => {
    expect(canonicalBytes(codec, value, 'cards.pan').toString('hex')).toBe(expected);
  });

  test('seal -0 as 0', () => {
    const column = someColumn({ codec: 'number' });
    expect(Object.is(openOne(sealOne(-0, { column, key }), { column, key }), 0)).toBe(true);
  });

  test('keep the order of keys in sealed JSON and ignore it when comparing', () => {
    const column = someColumn({ codec: 'json' });
    const opened = openOne(sealOne({ b: 1, a: 2 }, { column, key }), { column, key });
    expect(Object.keys(opened as object)).toEqual(['b', 'a']);
    const [one, other] = [
      { a: { x: 1, y: [1, 2] }, b: 2 },
      { b: 2, a: { y: [1, 2], x: 1 } },
    ];
    expect(canonicalBytes('json', one, 'w').equals(canonicalBytes('json', other, 'w'))).toBe(true);
    expect(canonicalBytes('json', [1, 2], 'w').equals(canonicalBytes('json', [2, 1], 'w'))).toBe(false);
  });

  test('leave what a toJSON throws out of the error', () => {
    const column = someColumn({ codec: 'json' });
    const value = {
      toJSON: () => {
        throw new Error('4111111111111111');
      },
    };
    const error = thrownBy(() => sealOne(value, { column, key }));
    expect(error.cause).toBeUndefined();
    expect(error.message).not.toContain('4111');
  });

  test('seal a value whose toJSON seals another value', () => {
    const column = someColumn({ codec: 'json' });
    const value = { toJSON: () => sealOne('inner', { key }).length };
    expect(openOne(sealOne([value, 'outer'], { column, key }), { column, key })).toEqual([55, 'outer']);
  });

  test.each([
    ['number', Buffer.alloc(7)],
    ['number', Buffer.from('7ff8000000000000', 'hex')],
    ['bigint', Buffer.from('007')],
    ['bigint', Buffer.from('1e5')],
    ['boolean', Buffer.of(2)],
    ['boolean', Buffer.alloc(0)],
    ['date', Buffer.from('7fffffffffffffff', 'hex')],
    ['json', Buffer.from('{"a":')],
    ['string', Buffer.from('c3', 'hex')],
    ['string', Buffer.from('eda080', 'hex')],
  ] as const)('refuse verified bytes that are not of type %s', (codec, bytes) => {
    // Nothing in the product seals such bytes; another writer could.
    expect(codecOf(codec, 'w').decode(Buffer.from(bytes), 0, bytes.length)).toBeUndefined();
  });
});

test.each([
  [{ rate: NaN }, 'finite numbers in JSON', 'NaN or an infinite one'],
  [{ born: new Date(NaN) }, 'valid dates in JSON', 'an invalid one'],
])(
  'JSON in which null would stand in the place of %o is refused, and the message says why',
  (value, expected, got) => {
    const json = codecOf('json', 'cards.note');
    for (const seal of [
      () => json.encode(value, 'cards.note'),
      () => canonicalBytes('json', value, 'cards.note'),
    ]) {
      expect(String(thrownBy(seal))).toContain(`cards.note: expected ${expected}, got ${got}`);
    }
  },
);

test('JSON that is deep and has nulls is sealed, or refused with a code', () => {
  let value: unknown = null;
  for (let level = 0; level < 1_000; level++) value = [value];
  expect(codecOf('json', 'cards.note').encode(value, 'cards.note')).toHaveLength(2_004);
  for (let level = 0; level < 200_000; level++) value = [value];
  expect(thrownBy(() => codecOf('json', 'cards.note').encode(value, 'cards.note'))).toMatchObject({
    code: 'ERR_SEAL_VALUE',
  });
});

describe('JSON that is nested deep', () => {
  const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

  test('is sealed and opened at 4,000 levels, where nothing is searched by it', () => {
    const where = 'cards.note';
    const json = codecOf('json', where);
    const bytes = Buffer.from(json.encode(nested(4_000), where));
    expect(JSON.stringify(json.decode(bytes, 0, bytes.length))).toBe(bytes.toString());
  });

  test('is refused for an index with a code that says how deep it may be', () => {
    expect(canonicalBytes('json', nested(1_000), 'cards.note')).toHaveLength(2_000);
    for (const levels of [1_001, 4_000]) {
      const error = thrownBy(() => canonicalBytes('json', nested(levels), 'cards.note'));
      expect(error).toMatchObject({ code: 'ERR_SEAL_VALUE' });
      expect(String(error)).toContain('at most 1000 levels for an index');
    }
  });

  test('is refused with a code for a cell too where it is too deep for JSON.stringify', () => {
    let value: unknown = 0;
    for (let level = 0; level < 200_000; level++) value = [value];
    const error = thrownBy(() => codecOf('json', 'cards.note').encode(value, 'cards.note'));
    expect(error).toMatchObject({ code: 'ERR_SEAL_VALUE' });
  });
});
