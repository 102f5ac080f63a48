import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { aessiv } from '@noble/ciphers/aes.js';
import { describe, expect, test } from 'vitest';
import { aesSiv } from '../../src/testing/aes-siv.js';
import { hex, runs } from '../cell/fixtures.js';

interface Vector {
  readonly name: string;
  readonly key: string;
  readonly associatedData: readonly string[];
  readonly plaintext: string;
  readonly output: string;
}

const file = new URL('../vectors/rfc5297.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] };

describe('aesSiv', () => {
  test.each(vectors)('gives what RFC 5297 gives for $name', ({ key, associatedData, plaintext, output }) => {
    const siv = aesSiv(hex(key));
    const associated = associatedData.map(hex);
    expect(Buffer.from(siv.seal(associated, hex(plaintext))).toString('hex')).toBe(output);
    expect(Buffer.from(siv.open(associated, hex(output))).toString('hex')).toBe(plaintext);
  });

  test.each([32, 48, 64])(
    'agrees with @noble/ciphers under keys of %i bytes, for lengths 0 to 200 and long ones',
    (bytes) => {
      const key = randomBytes(bytes);
      const siv = aesSiv(key);
      const lengths = [...Array(201).keys(), 1023, 4096, 8175, 8176, 8177, 8192, 65_537, 300_001];
      for (let i = 0; i < runs(20); i++) lengths.push(randomInt(10_000));
      for (const length of lengths) {
        const plaintext = randomBytes(length);
        const associated = Array.from({ length: randomInt(4) }, () => randomBytes(randomInt(70)));
        const output = siv.seal(associated, plaintext);
        expect(Buffer.compare(output, aessiv(key, ...associated).encrypt(plaintext)), `${length} bytes`).toBe(
          0,
        );
        expect(Buffer.compare(siv.open(associated, output), plaintext), `${length} bytes`).toBe(0);
      }
    },
  );

  test('refuses an output of which one bit was flipped, and other associated data', () => {
    const siv = aesSiv(randomBytes(64));
    const output = siv.seal([Buffer.from('a'), Buffer.from('b')], Buffer.from('four and twenty blackbirds'));
    for (let bit = 0; bit < output.length * 8; bit++) {
      const flipped = Buffer.from(output);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => siv.open([Buffer.from('a'), Buffer.from('b')], flipped)).toThrow(/does not verify/);
    }
    for (const associated of [[], ['ab'], ['b', 'a'], ['a', 'b', '']]) {
      const others = associated.map((text) => Buffer.from(text));
      expect(() => siv.open(others, output)).toThrow(/does not verify/);
    }
  });

  test('copies the key, so that wiping it afterwards changes nothing', () => {
    const key = randomBytes(64);
    const expected = aessiv(Uint8Array.from(key)).encrypt(Buffer.from('x'));
    const siv = aesSiv(key);
    key.fill(0);
    expect(Buffer.compare(siv.seal([], Buffer.from('x')), expected)).toBe(0);
  });

  test('says what is wrong with its arguments', () => {
    const siv = aesSiv(randomBytes(64));
    expect(() => aesSiv('secret' as never)).toThrow(TypeError);
    expect(() => aesSiv(randomBytes(33))).toThrow(RangeError);
    expect(() => siv.seal('x' as never, Buffer.alloc(1))).toThrow(TypeError);
    expect(() => siv.seal([], 'x' as never)).toThrow(TypeError);
    expect(() =>
      siv.seal(
        Array.from({ length: 127 }, () => Buffer.alloc(0)),
        Buffer.alloc(0),
      ),
    ).toThrow(RangeError);
    expect(() => siv.open([], Buffer.alloc(15))).toThrow(RangeError);
  });
});
