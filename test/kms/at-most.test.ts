import { describe, expect, it } from 'vitest';
import { AtMost } from '../../src/kms/at-most.js';

/** Tasks that end when told, and how many of them run. */
function tasks(count: number) {
  const ends: ((error?: Error) => void)[] = [];
  let running = 0;
  let most = 0;
  const make = () => async () => {
    most = Math.max(most, ++running);
    try {
      await new Promise<void>((resolve, reject) => {
        ends.push((error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
      });
    } finally {
      running--;
    }
  };
  return { list: Array.from({ length: count }, make), ends, most: () => most };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('AtMost', () => {
  it('starts no more than its number, and the next one as soon as one ends', async () => {
    const atMost = new AtMost(2);
    const { list, ends, most } = tasks(5);
    const all = Promise.all(list.map((task) => atMost.run(task)));
    for (let ended = 0; ended < 5; ended++) {
      await settled();
      expect(ends.length).toBe(Math.min(5, ended + 2));
      ends[ended]?.();
    }
    await all;
    expect(most()).toBe(2);
  });

  it('gives the place of a task that failed to the next one', async () => {
    const atMost = new AtMost(1);
    const { list, ends } = tasks(2);
    const [first, second] = list.map((task) => atMost.run(task));
    await settled();
    ends[0]?.(new Error('failed'));
    await expect(first).rejects.toThrow('failed');
    await settled();
    ends[1]?.();
    await second;
    expect(await atMost.run(() => Promise.resolve('free again'))).toBe('free again');
  });
});
