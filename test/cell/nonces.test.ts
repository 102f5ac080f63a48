import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { Blocks } from '../../src/cell/blocks.js';
import { CmacKey } from '../../src/cell/cmac.js';
import { NonceStock } from '../../src/cell/nonces.js';

describe('NonceStock', () => {
  test('draws nonces that differ, each with its CMAC', () => {
    const mac = new CmacKey(createSecretKey(randomBytes(32)));
    const stock = new NonceStock(mac);
    const [nonces, macs] = [new Blocks(1000), new Blocks(1000)];
    for (let i = 0; i < 1000; i++) stock.draw(nonces, i, macs, i);
    const drawn = Array.from({ length: 1000 }, (_, i) => nonces.bytes.subarray(i * 16, i * 16 + 16));
    expect(new Set(drawn.map((nonce) => nonce.toString('hex'))).size).toBe(1000);
    drawn.forEach((nonce, i) => {
      expect([...mac.macOf(nonce).words]).toEqual([...macs.words.subarray(i * 4, i * 4 + 4)]);
    });
  });

  test('keeps nothing of what was drawn, and nothing at all once wiped', () => {
    const mac = new CmacKey(createSecretKey(randomBytes(32)));
    const macEach = vi.spyOn(mac, 'macEach');
    const stock = new NonceStock(mac);
    const out = new Blocks(1);
    for (let i = 0; i < 8; i++) stock.draw(out, 0, out, 0);
    const kept = macEach.mock.calls[0]![0].bytes;
    expect(kept.every((byte) => byte === 0)).toBe(true);
    stock.draw(out, 0, out, 0);
    stock.wipe();
    for (const [blocks] of macEach.mock.calls) expect(blocks.bytes.every((byte) => byte === 0)).toBe(true);
  });
});
