import { describe, expect, test } from 'vitest';
import { paddedLength, unpaddedEnd } from '../../src/cell/padding.js';
import { hex } from './fixtures.js';

describe('padding', () => {
  test.each([
    [0, 0, 0],
    [5, 0, 5],
    [0, 16, 16],
    [15, 16, 16],
    [16, 16, 32],
    [7, 1, 8],
    [255, 255, 510],
  ])('makes %i bytes with pad %i to %i', (length, pad, padded) => {
    expect(paddedLength(length, pad)).toBe(padded);
  });

  test.each([
    ['80', 0],
    ['6180', 1],
    ['61800000', 1],
    ['80800000', 1],
    ['0080', 1],
  ])('of %s begins at %i', (text, end) => {
    expect(unpaddedEnd(hex(text), 0, text.length / 2)).toBe(end);
  });

  test.each(['', '00', '6100', '61', '8001'])('is missing in "%s"', (text) => {
    expect(unpaddedEnd(hex(text), 0, text.length / 2)).toBe(-1);
  });

  test('is not looked for before the text', () => {
    expect(unpaddedEnd(hex('80000000'), 2, 4)).toBe(-1);
  });
});
