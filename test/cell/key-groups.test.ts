import { describe, expect, test } from 'vitest';
import { KeyGroups } from '../../src/cell/key-groups.js';
import { someEnvelopeKey, someKey } from './fixtures.js';

describe('key groups', () => {
  test('have one for each key, in the order of their first rows', () => {
    const [a, b, c] = [someKey(), someEnvelopeKey(), someKey()];
    const groups = new KeyGroups();
    [a, b, b, c, a, c, b].forEach((key, row) => {
      groups.add(row, key);
    });
    expect(groups.groups.map(({ key, rows }) => [key.fingerprint, rows])).toEqual([
      [a.fingerprint, [0, 4]],
      [b.fingerprint, [1, 2, 6]],
      [c.fingerprint, [3, 5]],
    ]);
  });

  test('tell keys of one root apart that carry another header', () => {
    const root = Buffer.alloc(32, 7);
    const [a, b] = [someEnvelopeKey(root), someEnvelopeKey(root)];
    const groups = new KeyGroups();
    [a, b, a].forEach((key, row) => {
      groups.add(row, key);
    });
    expect(groups.groups.map(({ rows }) => rows)).toEqual([[0, 2], [1]]);
  });
});
