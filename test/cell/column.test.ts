import { describe, expect, test } from 'vitest';
import { type CellColumn, cellColumn, contextOf } from '../../src/cell/column.js';
import { hex, someColumn, thrownBy } from './fixtures.js';

const FINGERPRINT = '00112233-4455-8677-8899-aabbccddeeff';

describe('cellColumn', () => {
  test('is frozen and keeps what it was made of', () => {
    const column = someColumn({ pad: 16 });
    expect(Object.isFrozen(column)).toBe(true);
    expect(column).toMatchObject({ entity: 'cards', field: 'pan', pad: 16, bound: false });
  });

  test.each(['application', 'environment', 'purpose', 'entity', 'field'] as const)(
    'refuses an empty, malformed or decomposed %s',
    (name) => {
      for (const value of ['', 'x\uDC00', 'e\u0301', 5 as never]) {
        expect(thrownBy(() => someColumn({ [name]: value })).code).toBe('ERR_CONFIG_FIELD');
      }
      expect(someColumn({ [name]: '\u00e9' })[name]).toBe('\u00e9');
    },
  );

  test('refuses an unknown codec and a pad that is not 0 to 255', () => {
    for (const codec of ['text', '__proto__', 'toString']) {
      expect(thrownBy(() => someColumn({ codec: codec as never })).code).toBe('ERR_CONFIG_FIELD');
    }
    for (const pad of [-1, 256, 1.5, NaN])
      expect(thrownBy(() => someColumn({ pad })).code).toBe('ERR_CONFIG_FIELD');
  });
});

describe('contextOf', () => {
  test('is the prefix, byte 1, the fingerprint, and each name with its length', () => {
    const column = cellColumn({
      application: 'a',
      environment: 'e',
      purpose: 'p',
      entity: 'é',
      field: 'f',
      codec: 'json',
      pad: 0,
      bound: false,
    });
    const names = ['61', '65', '70', 'c3a9', '66', '6a736f6e'].map(
      (name) => (name.length / 2).toString(16).padStart(8, '0') + name,
    );
    const expected = `${Buffer.from('fieldseal/v1').toString('hex')}01${FINGERPRINT.replaceAll('-', '')}${names.join('')}`;
    expect(contextOf(column, 1, FINGERPRINT).equals(hex(expected))).toBe(true);
  });

  test('takes no column that cellColumn did not check', () => {
    const copy: CellColumn = { ...someColumn() };
    expect(thrownBy(() => contextOf(copy, 1, FINGERPRINT)).code).toBe('ERR_CONFIG_FIELD');
  });
});
