import { expect, it } from 'vitest';
import { bufferedRandomBelow } from '../../src/keys/random.js';

it('numbers lie below the bound, and each is as likely as the others', () => {
  const randomBelow = bufferedRandomBelow();
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[randomBelow(7)]! += 1;
  // 10,000 each, standard deviation 93: eight of them.
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(750);
});

it('bounds up to 2^32 work', () => {
  const randomBelow = bufferedRandomBelow();
  expect(randomBelow(1)).toBe(0);
  const numbers = Array.from({ length: 2_000 }, () => randomBelow(2 ** 32));
  expect(Math.max(...numbers)).toBeGreaterThan(2 ** 31);
  expect(new Set(numbers).size).toBeGreaterThan(1_990);
});

it.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])(
  'a bound of %s is refused instead of answered with nonsense',
  (below) => {
    expect(() => bufferedRandomBelow()(below)).toThrow(RangeError);
  },
);
