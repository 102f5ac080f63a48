import { describe, expect, it } from 'vitest';
import { PAIR_SIZE, ROOT_SIZE, takeKey } from '../../src/kms/aws-answers.js';

describe('a key in an answer', () => {
  it('is copied and wiped there, also when it has another length than it should', () => {
    for (const [length, size, taken] of [
      [32, ROOT_SIZE, true],
      [31, ROOT_SIZE, false],
      [138, ROOT_SIZE, false],
      [138, PAIR_SIZE, true],
      [67, PAIR_SIZE, true],
      [256, PAIR_SIZE, true],
      [257, PAIR_SIZE, false],
      [32, PAIR_SIZE, false],
    ] as const) {
      const answer = new Uint8Array(length).fill(7);
      const key = takeKey(answer, size);
      expect(key).toEqual(taken ? Buffer.alloc(length, 7) : undefined);
      expect(answer).toEqual(new Uint8Array(length));
    }
  });

  it('is none where there are no bytes', () => {
    expect(takeKey(undefined, ROOT_SIZE)).toBeUndefined();
    expect(takeKey('x'.repeat(32) as never, ROOT_SIZE)).toBeUndefined();
  });
});
