/** How long work keeps the event loop from turning. */

export interface Turns {
  /** How often the event loop turned while the work went on. */
  readonly turns: number;
  /** The longest time between two turns, in ms, a collection of garbage in it included. */
  readonly longestMs: number;
}

export async function turnsDuring(work: () => Promise<unknown>): Promise<Turns> {
  let [turns, longestMs, isDone] = [0, 0, false];
  let last = performance.now();
  const turning = new Promise<void>((resolve) => {
    const turn = (): void => {
      const at = performance.now();
      longestMs = Math.max(longestMs, at - last);
      last = at;
      turns += 1;
      if (isDone) resolve();
      else setImmediate(turn);
    };
    setImmediate(turn);
  });
  try {
    await work();
  } finally {
    isDone = true;
    await turning;
  }
  return { turns, longestMs };
}
