import { describe, expect, test } from 'vitest';
import { Batch } from '../../src/cell/batch.js';
import { someColumn } from './fixtures.js';

describe('Batch', () => {
  test('begins without what an unfinished batch has left', () => {
    const batch = new Batch();
    const of = { byteOne: 1, fingerprint: '', bound: false, headerBytes: 0 };
    const part = { column: someColumn(), bindings: undefined };
    batch.begin(of);
    for (let row = 0; row < 3; row++) batch.add(part, row, 16, 32);
    batch.reserve();
    batch.texts.bytes.write('4111111111111111');
    batch.begin(of);
    expect(batch.parts.every((left) => left === undefined)).toBe(true);
    expect(batch.texts.bytes.every((byte) => byte === 0)).toBe(true);
  });
});
