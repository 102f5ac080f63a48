import { createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { blindIndexes } from '../../src/cell/blind-index.js';
import { IndexKey } from '../../src/cell/index-key.js';
import { lengthPrefixed } from '../../src/cell/length-prefix.js';
import { OWNER, someColumn, thrownBy } from './fixtures.js';

const ROOT = Buffer.alloc(32, 3);
const indexKey = (version = 1): IndexKey => IndexKey.derive(Buffer.from(ROOT), OWNER, version);
const one = (value: unknown, column = someColumn(), key = indexKey()): string =>
  blindIndexes(key, column, [value])[0]!.toString('hex');

describe('blindIndexes', () => {
  test('are the first half of an HMAC over version, entity, field and value', () => {
    const info = Buffer.concat([
      Buffer.from('fieldseal/v1/'),
      lengthPrefixed('index', 'index', OWNER.application, OWNER.purpose),
    ]);
    const key = Buffer.from(hkdfSync('sha256', ROOT, '', info, 32));
    const hmac = createHmac('sha256', key);
    hmac.update('\u0002\0\0\0\u0005cards\0\0\0\u0003pan4111111111111111');
    expect(one('4111111111111111', someColumn(), indexKey(2))).toBe(hmac.digest('hex').slice(0, 32));
  });

  test('are equal for equal values and null for null and undefined', () => {
    const [a, b, c, none, unset] = blindIndexes(indexKey(), someColumn(), ['x', 'x', 'y', null, undefined]);
    expect(a).toHaveLength(16);
    expect(a!.equals(b!)).toBe(true);
    expect(a!.equals(c!)).toBe(false);
    expect([none, unset]).toEqual([null, null]);
  });

  test('do not tell composed from decomposed text, nor the order of keys', () => {
    expect(one('e\u0301')).toBe(one('\u00e9'));
    const json = someColumn({ codec: 'json' });
    expect(one({ a: 1, b: 2 }, json)).toBe(one({ b: 2, a: 1 }, json));
  });

  test('differ by entity, field, version and index key, and not by where else the column is', () => {
    const all = [
      one('x'),
      one('x', someColumn({ entity: 'card' })),
      one('x', someColumn({ entity: 'cardsp', field: 'an' })),
      one('x', someColumn({ field: 'pan2' })),
      one('x', someColumn(), indexKey(2)),
      one('x', someColumn(), IndexKey.derive(Buffer.alloc(32, 4), OWNER, 1)),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(one('x', someColumn({ environment: 'other', pad: 16 }))).toBe(one('x'));
  });

  test('refuse a value of another type and a lone surrogate', () => {
    expect(thrownBy(() => one(5)).code).toBe('ERR_SEAL_TYPE');
    expect(thrownBy(() => one('\uD800')).code).toBe('ERR_SEAL_VALUE');
    expect(thrownBy(() => one({ a: '\uD800' }, someColumn({ codec: 'json' }))).code).toBe('ERR_SEAL_VALUE');
  });
});
