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

const atMostOf = (most: number, now = () => 0): AtMost =>
  new AtMost({ most, patienceMs: 60_000, now, tooLate: () => new Error('too late') });

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('AtMost', () => {
  it('starts none that has waited too long, and those behind it at once', async () => {
    let time = 0;
    const atMost = atMostOf(1, () => time);
    const { list, ends } = tasks(4);
    const [first, late, alsoLate] = list.slice(0, 3).map((task) => atMost.run(task));
    time = 30_000;
    const last = atMost.run(list[3]!);
    time = 60_001;
    const refused = Promise.all([
      expect(late).rejects.toThrow('too late'),
      expect(alsoLate).rejects.toThrow('too late'),
    ]);
    ends[0]!();
    await first;
    await refused;
    await settled();
    expect(ends).toHaveLength(2);
    ends[1]!();
    await last;
    expect(await atMost.run(() => Promise.resolve('again'))).toBe('again');
  });

  it('starts no more than its number, and the next one as soon as one ends', async () => {
    const atMost = atMostOf(2);
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
    const atMost = atMostOf(1);
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
