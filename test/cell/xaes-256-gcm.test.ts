import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Batch } from '../../src/cell/batch.js';
import { openGcm, sealGcm, Xaes256GcmKey, XaesKey } from '../../src/cell/xaes-256-gcm.js';
import { FINGERPRINT_AT, HEADER_BYTES } from '../../src/cell/header.js';
import { openOne, sealOne, someColumn, someKey, thrownBy } from './fixtures.js';

const NONCE = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');

function xaesSeal(keyBytes: Buffer, nonce: Buffer, text: Buffer, additionalData: Buffer): Buffer {
  return sealGcm(new XaesKey(keyBytes).derive(nonce), nonce, text, additionalData);
}

describe('XAES-256-GCM', () => {
  // C2SP specification, test vectors.
  test.each([
    [0x01, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    [0x03, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ])('gives what C2SP gives for a key of bytes %i', (byte, additionalData, expected) => {
    const keyBytes = Buffer.alloc(32, byte);
    const text = Buffer.from('XAES-256-GCM');
    const sealed = xaesSeal(keyBytes, NONCE, text, Buffer.from(additionalData));
    expect(sealed.toString('hex')).toBe(expected);
    const opened = openGcm(new XaesKey(keyBytes).derive(NONCE), NONCE, sealed, Buffer.from(additionalData));
    expect(opened?.equals(text)).toBe(true);
  });

  test('gives the accumulated vector of C2SP over 10,000 random inputs', () => {
    const random = createHash('shake128', { outputLength: 10_000 * (32 + 24 + 2 * 256) }).digest();
    let at = 0;
    const read = (bytes: number): Buffer => random.subarray(at, (at += bytes));
    const accumulated = createHash('shake128', { outputLength: 32 });
    for (let i = 0; i < 10_000; i++) {
      const keyBytes = read(32);
      const nonce = read(24);
      const text = read(read(1)[0]!);
      accumulated.update(xaesSeal(keyBytes, nonce, text, read(read(1)[0]!)));
    }
    expect(accumulated.digest('hex')).toBe(
      'e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939',
    );
  });

  test('keeps its nonce prefix for one hand-out of a key and draws another for the next', () => {
    const root = Buffer.alloc(32, 7);
    const prefix = (cell: Buffer): string => cell.toString('hex', HEADER_BYTES, HEADER_BYTES + 12);
    const suite = 'xaes-256-gcm' as const;
    const [first, second] = [someKey(root), someKey(root)];
    const cells = [first, first, second].map((key) => sealOne('x', { key, suite }));
    expect(prefix(cells[0]!)).toBe(prefix(cells[1]!));
    expect(prefix(cells[0]!)).not.toBe(prefix(cells[2]!));
    for (const cell of cells) expect(openOne(cell, { key: second, suite })).toBe('x');
  });

  test('asks for a new hand-out after 2^24 cells under one prefix', () => {
    const key = new Xaes256GcmKey(Buffer.alloc(32, 1), 'a-fingerprint');
    const batch = new Batch();
    batch.n = 2 ** 24 + 1;
    const error = thrownBy(() => {
      key.seal(batch);
    });
    expect(error.code).toBe('ERR_KEY_STATE');
    expect(error.message).toContain('new hand-out');
  });

  test('opens cells of more prefixes than it keeps keys for', () => {
    const root = Buffer.alloc(32, 9);
    const column = someColumn();
    const cells = Array.from({ length: 200 }, (_, i) =>
      sealOne(`v${i}`, { column, key: someKey(root), suite: 'xaes-256-gcm' }),
    );
    const key = someKey(root);
    for (let round = 0; round < 2; round++) {
      cells.forEach((cell, i) => {
        expect(openOne(cell, { column, key, suite: 'xaes-256-gcm' })).toBe(`v${i}`);
      });
    }
    expect(new Set(cells.map((cell) => cell.toString('hex', FINGERPRINT_AT, HEADER_BYTES))).size).toBe(1);
  });
});
