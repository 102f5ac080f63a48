import { describe, expect, test } from 'vitest';
import { type BoundKind, encodeBinding } from '../../src/cell/binding.js';
import { hex, openOne, sealOne, someColumn, someKey, SUITE_NAMES, thrownBy } from './fixtures.js';

const one = (kind: BoundKind, value: unknown): Buffer => encodeBinding([{ name: 'id', kind, value }]);

describe('encodeBinding', () => {
  test('writes name and value with their lengths, sorted by name', () => {
    const tenant = { name: 'tenant', kind: 'text', value: 'ä' } as const;
    const id = { name: 'id', kind: 'integer', value: 7 } as const;
    const expected = hex(
      '00000002' + '6964' + '00000001' + '37' + '00000006' + '74656e616e74' + '00000002' + 'c3a4',
    );
    expect(encodeBinding([tenant, id]).equals(expected)).toBe(true);
    expect(encodeBinding([id, tenant]).equals(expected)).toBe(true);
  });

  test.each([
    ['text', 'a ', '6120'],
    ['text', '', ''],
    ['uuid', '0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B', '0190a1b2c3d47e5f8a9b0c1d2e3f4a5b'],
    ['boolean', true, '01'],
    ['boolean', false, '00'],
    ['binary', Buffer.of(1, 0), '0100'],
  ] as const)('writes a %s', (kind, value, expected) => {
    expect(one(kind, value).subarray(10).toString('hex')).toBe(expected);
  });

  test.each([
    ['42', [42, 42n, '42', '+42', '0042']],
    ['-42', [-42, -42n, '-42', '-0042']],
    ['0', [0, -0, 0n, '0', '-0', '000']],
    ['9223372036854775807', [9223372036854775807n, '9223372036854775807']],
  ])('writes the integer %s the same way however the driver hands it over', (text, values) => {
    for (const value of values) expect(one('integer', value).subarray(10).toString()).toBe(text);
  });

  test.each([
    ['text', 5],
    ['text', 'a\uD800'],
    ['text', null],
    ['text', undefined],
    ['uuid', '0190a1b2c3d47e5f8a9b0c1d2e3f4a5b'],
    ['uuid', Buffer.alloc(16)],
    ['integer', 1.5],
    ['integer', 2 ** 53],
    ['integer', NaN],
    ['integer', '1e3'],
    ['integer', ''],
    ['integer', ' 1'],
    ['boolean', 1],
    ['binary', 'text'],
    ['toString', 'x'],
  ] as const)('refuses as %s: %o', (kind, value) => {
    const error = thrownBy(() => one(kind as BoundKind, value));
    expect(error.code).toBe('ERR_SEAL_BINDING');
    expect(error.message).toContain('Bound value id: expected');
  });

  test('refuses no value at all and a name that comes twice', () => {
    expect(thrownBy(() => encodeBinding([])).code).toBe('ERR_SEAL_BINDING');
    const value = { name: 'id', kind: 'integer', value: 7 } as const;
    expect(thrownBy(() => encodeBinding([value, value])).code).toBe('ERR_SEAL_BINDING');
  });
});

describe.each(SUITE_NAMES)('a bound cell of %s', (suite) => {
  const key = someKey();
  const column = someColumn({ bound: true });
  const ours = one('integer', 7);
  const open = (cell: Buffer, binding?: Buffer): unknown =>
    openOne(cell, { key, suite, column, ...(binding && { binding }) });

  test('opens with its own bound values only', () => {
    const cell = sealOne('secret', { key, suite, column, binding: ours });
    expect(open(cell, ours)).toBe('secret');
    for (const other of [
      one('integer', 8),
      one('text', ''),
      encodeBinding([{ name: 'ie', kind: 'integer', value: 7 }]),
    ]) {
      expect(open(cell, other)).toMatchObject({ code: 'ERR_OPEN_FAILED' });
    }
    expect(open(cell)).toMatchObject({ code: 'ERR_OPEN_FAILED' });
    expect(openOne(cell, { key, suite, column: someColumn() })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  test('is not made without its binding, and an unbound one not with any', () => {
    expect(thrownBy(() => sealOne('x', { key, suite, column })).code).toBe('ERR_SEAL_BINDING');
    expect(thrownBy(() => sealOne('x', { key, suite, column, binding: Buffer.alloc(0) })).code).toBe(
      'ERR_SEAL_BINDING',
    );
    expect(thrownBy(() => sealOne('x', { key, suite, binding: ours })).code).toBe('ERR_SEAL_BINDING');
  });

  test('needs no binding where the value is null', () => {
    expect(() => sealOne(null, { key, suite, column })).toThrow('expected a cell');
  });
});
