import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DataKey } from '../../src/cell/data-key.js';
import { HeldKey } from '../../src/keys/held-key.js';

function heldKey(): { readonly key: DataKey; readonly held: HeldKey } {
  const key = DataKey.derive(randomBytes(32), { application: 'shop', purpose: 'card-number' });
  return { key, held: new HeldKey('card-number', key, { wall: 0, monotonic: 0 }) };
}

describe('a held key', () => {
  it('is closed at once when it is dropped and no page uses it', () => {
    const { key, held } = heldKey();
    held.drop();
    expect(key.closed).toBe(true);
  });

  it('is closed by the last page that uses it when it was dropped meanwhile', () => {
    const { key, held } = heldKey();
    held.lease();
    held.lease();
    held.drop();
    held.release();
    expect(key.closed).toBe(false);
    held.release();
    expect(key.closed).toBe(true);
  });

  it('stays open between pages as long as it is not dropped', () => {
    const { key, held } = heldKey();
    held.lease();
    held.release();
    expect(key.closed).toBe(false);
  });
});
