import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { StoreKey } from '../../src/cell/store-key.js';
import type { KeyRecord } from '../../src/keys/ports.js';
import { canonicalBytes, type CanonicalValue } from '../../src/service/canonical-encoding.js';
import { encodeRow, rowIsGenuine, rowMac } from '../../src/service/row-mac.js';
import { hasCode, SCOPE } from './fixture.js';
import { dataKey, KEK_B, wrapUnder } from './rows.js';

const key = StoreKey.derive(randomBytes(32), SCOPE);
const row = signed({ ...dataKey('ENCRYPT', 1, 5_000), wraps: [wrapUnder(KEK_B, 1), wrapUnder(KEK_B, 2)] });

afterAll(() => {
  key.close();
});

describe('the row MAC', () => {
  it('fits the row it was made for, with its wraps in any order', () => {
    expect(rowIsGenuine(key, row)).toBe(true);
    expect(rowIsGenuine(key, { ...row, wraps: [...row.wraps].reverse() })).toBe(true);
  });

  it.each(Object.keys(row).filter((name) => name !== 'wraps'))('does not fit when %s is another', (name) => {
    expect(rowIsGenuine(key, changed(row, name as keyof KeyRecord))).toBe(false);
  });

  it.each(Object.keys(row.wraps[0]!))('does not fit when %s of a wrap is another', (name) => {
    const [first, second] = row.wraps;
    expect(rowIsGenuine(key, { ...row, wraps: [changed(first!, name as never), second!] })).toBe(false);
  });

  it('does not fit when a wrap is added, left out or repeated', () => {
    const [first, second] = row.wraps;
    for (const wraps of [[first!], [first!, second!, wrapUnder(KEK_B, 3)], [first!, first!], []]) {
      expect(rowIsGenuine(key, { ...row, wraps })).toBe(false);
    }
  });

  it('does not fit under the store key of another scope, nor when it is cut', () => {
    const other = StoreKey.derive(randomBytes(32), SCOPE);
    expect(rowIsGenuine(other, row)).toBe(false);
    expect(rowIsGenuine(key, { ...row, rowMac: row.rowMac.subarray(0, 31) })).toBe(false);
    expect(rowIsGenuine(key, { ...row, rowMac: Buffer.alloc(0) })).toBe(false);
    other.close();
  });

  it('tells null from an empty value', () => {
    const empty = { ...row, publicKey: Buffer.alloc(0) };
    expect(encodeRow(empty).equals(encodeRow({ ...row, publicKey: null }))).toBe(false);
  });
});

describe('the canonical encoding', () => {
  const leaf = fc.oneof(
    fc.string({ maxLength: 4 }),
    fc.integer({ min: -3, max: 300 }),
    fc.constant(null),
    fc.uint8Array({ maxLength: 4 }),
    fc.integer({ min: 0, max: 9 }).map((ms) => new Date(ms)),
  );
  const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }));

  it('gives different bytes for different values', () => {
    const list = fc.array(value, { maxLength: 4 });
    fc.assert(
      fc.property(list, list, (a: CanonicalValue[], b: CanonicalValue[]) => {
        const same = canonicalBytes('test', a).equals(canonicalBytes('test', b));
        expect(same).toBe(JSON.stringify(spelled(a)) === JSON.stringify(spelled(b)));
      }),
      { numRuns: Number(process.env.FIELDSEAL_PROPERTY_RUNS ?? 2_000) },
    );
  });

  it('separates labels and neighbours', () => {
    expect(canonicalBytes('a', ['b'])).not.toEqual(canonicalBytes('ab', ['']));
    expect(canonicalBytes('a', ['b', 'c'])).not.toEqual(canonicalBytes('a', ['bc', '']));
    expect(canonicalBytes('a', [['b'], 'c'])).not.toEqual(canonicalBytes('a', [['b', 'c']]));
  });

  it.each([
    ['a fraction', 1.5],
    ['a number that is not exact', 2 ** 53],
    ['not a number', NaN],
    ['an invalid date', new Date(NaN)],
    ['a lone surrogate', 'x\uD800'],
  ])('refuses %s', (_what, bad) => {
    expect(() => canonicalBytes('test', [bad])).toThrow(hasCode('ERR_STORE_ROW'));
  });
});

function signed(unsigned: KeyRecord): KeyRecord {
  return { ...unsigned, rowMac: rowMac(key, unsigned) };
}

function changed<T extends object>(original: T, name: keyof T): T {
  return { ...original, [name]: another(original[name]) };
}

function another(old: unknown): unknown {
  if (old === null) return new Date(7);
  if (typeof old === 'number') return old + 1;
  if (typeof old === 'string') return `${old}x`;
  if (old instanceof Date) return new Date(old.getTime() + 1);
  const bytes = Buffer.from(old as Buffer);
  bytes[0] = bytes[0]! ^ 1;
  return bytes;
}

/** The value with its types spelled out, as something that JSON tells apart. */
function spelled(item: CanonicalValue): unknown {
  if (Array.isArray(item)) return (item as CanonicalValue[]).map(spelled);
  if (item instanceof Date) return ['date', item.getTime()];
  if (item instanceof Uint8Array) return { bytes: [...item] };
  return item;
}
