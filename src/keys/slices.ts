/**
 * Work that keeps the processor busy, in slices between which the event loop turns. What all callers of this process do
 * in one turn is bounded together: a hundred statements that each keep to a limit of their own would still block.
 */
import type { Ready } from './ready.js';

/** How long such work goes on in one turn, in ms. A job that has begun is finished, and none takes more than a few. */
const SLICE_MS = 8;

/**
 * How much work is not worth a turn of its own, in ms. Waking the event loop costs a page of one row more than opening it, so
 * what many such pages take is added up before it counts.
 */
const NOTICED_MS = 1;

const waiting: (() => void)[] = [];
let spentMs = 0;
let isTurning = false;

/** What `job` returns or throws: at once where this turn has time left, else a promise of a later turn, first come first served. */
export function inSlices<T>(job: () => T): Ready<T> {
  if (waiting.length === 0 && spentMs < SLICE_MS) return timed(job);
  return new Promise<T>((resolve) => {
    // What the job throws rejects the inner promise.
    waiting.push(() => resolve(new Promise<T>((done) => done(timed(job)))));
  });
}

/**
 * Runs `task` for each item in turn. What takes less than a slice is done when this returns, whatever else this turn has
 * done: short work need not wait for long work.
 */
export function eachInSlices<Item>(items: readonly Item[], task: (item: Item) => void): Ready<void> {
  if (items.length === 0) return undefined;
  const done = timed(() => firstSlice(items, task));
  return done === items.length ? undefined : theRest(items.slice(done), task);
}

/** How many items it has done. */
function firstSlice<Item>(items: readonly Item[], task: (item: Item) => void): number {
  const end = performance.now() + SLICE_MS;
  let done = 0;
  while (done < items.length && (done === 0 || performance.now() < end)) {
    task(items[done]!);
    done += 1;
  }
  return done;
}

async function theRest<Item>(items: readonly Item[], task: (item: Item) => void): Promise<void> {
  for (const item of items) await inSlices(() => task(item));
}

function timed<T>(job: () => T): T {
  const began = performance.now();
  try {
    return job();
  } finally {
    spentMs += performance.now() - began;
    if (!isTurning && spentMs >= NOTICED_MS) {
      isTurning = true;
      setImmediate(nextTurn);
    }
  }
}

function nextTurn(): void {
  isTurning = false;
  spentMs = 0;
  while (waiting.length > 0 && spentMs < SLICE_MS) waiting.shift()!();
}
