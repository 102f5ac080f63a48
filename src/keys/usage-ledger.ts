/** What this process sealed under each pool key, and how much of it the key source has been told. */
import type { DataKey } from '../cell/data-key.js';
import type { Policy } from './policy.js';
import type { Clock, KeyUsage } from './ports.js';

interface KeyCount {
  cells: number;
  bytes: number;
  reportedCells: number;
  reportedBytes: number;
  /** When it was first counted, by the monotonic clock, ms. */
  readonly since: number;
}

export class UsageLedger {
  readonly #limits: Policy['key'];
  readonly #clock: Clock;
  readonly #counts = new Map<string, KeyCount>();

  constructor({ key }: Pick<Policy, 'key'>, clock: Clock) {
    this.#limits = key;
    this.#clock = clock;
  }

  /** Adds cells of one column to the keys they were sealed under; `bytes` is their plaintext together. Returns cells by key. */
  addAll(
    keys: readonly (DataKey | undefined)[],
    cells: readonly (Buffer | null)[],
    bytes: number,
  ): ReadonlyMap<string, number> {
    const shares = sharesOf(keys, cells);
    let [allCells, allBytes] = [0, 0];
    for (const share of shares.values())
      [allCells, allBytes] = [allCells + share.cells, allBytes + share.bytes];
    // Every cell of one suite and delivery is longer than its plaintext by the same number of bytes.
    const overhead = allCells === 0 ? 0 : (allBytes - bytes) / allCells;
    for (const [fingerprint, share] of shares) {
      this.#add(fingerprint, share.cells, share.bytes - share.cells * overhead);
    }
    return new Map([...shares].map(([fingerprint, share]) => [fingerprint, share.cells]));
  }

  /** What the next report has to say. It counts as unreported until {@link markReported}. */
  unreported(): KeyUsage[] {
    return [...this.#counts]
      .filter(([, count]) => count.cells > count.reportedCells)
      .map(([fingerprint, count]) => ({
        fingerprint,
        cells: count.cells - count.reportedCells,
        bytes: count.bytes - count.reportedBytes,
      }));
  }

  markReported(report: readonly KeyUsage[]): void {
    for (const { fingerprint, cells, bytes } of report) {
      const count = this.#counts.get(fingerprint)!;
      count.reportedCells += cells;
      count.reportedBytes += bytes;
    }
  }

  /** Whether this process alone has not yet brought the key to its limits. */
  isWithin(fingerprint: string): boolean {
    const count = this.#counts.get(fingerprint);
    return count === undefined || this.#hasRoom(count);
  }

  /** Keys that this process alone has brought to their limits. */
  exhausted(): string[] {
    return [...this.#counts].filter(([, count]) => !this.#hasRoom(count)).map(([fingerprint]) => fingerprint);
  }

  /**
   * Forgets keys that have left the pool and are handed out no more, since a key seals for `sealFor` at most, once all of
   * their usage is reported. Until then a key that comes back goes on where it was.
   */
  forget(inPool: (fingerprint: string) => boolean): void {
    const since = this.#clock.monotonic() - this.#limits.sealForMs;
    for (const [fingerprint, count] of this.#counts) {
      const isOver = count.since < since && count.cells === count.reportedCells;
      if (isOver && !inPool(fingerprint)) this.#counts.delete(fingerprint);
    }
  }

  #hasRoom({ cells, bytes }: KeyCount): boolean {
    return cells < this.#limits.maxCells && bytes < this.#limits.maxBytes;
  }

  #add(fingerprint: string, cells: number, bytes: number): void {
    let count = this.#counts.get(fingerprint);
    if (count === undefined) {
      const since = this.#clock.monotonic();
      count = { cells: 0, bytes: 0, reportedCells: 0, reportedBytes: 0, since };
      this.#counts.set(fingerprint, count);
    }
    count.cells += cells;
    count.bytes += bytes;
  }
}

interface Share {
  cells: number;
  /** Length of the cells. */
  bytes: number;
}

function sharesOf(
  keys: readonly (DataKey | undefined)[],
  cells: readonly (Buffer | null)[],
): Map<string, Share> {
  const shares = new Map<string, Share>();
  cells.forEach((cell, row) => {
    const fingerprint = keys[row]?.fingerprint;
    if (cell === null || fingerprint === undefined) return;
    let share = shares.get(fingerprint);
    if (share === undefined) shares.set(fingerprint, (share = { cells: 0, bytes: 0 }));
    share.cells += 1;
    share.bytes += cell.length;
  });
  return shares;
}
