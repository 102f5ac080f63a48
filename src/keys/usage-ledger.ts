/** What this process sealed under each pool key, and how much of it the key source has been told. */
import type { DataKey } from '../cell/data-key.js';
import type { KeyUsage } from './ports.js';

interface KeyCount {
  cells: number;
  bytes: number;
  reportedCells: number;
  reportedBytes: number;
}

export class UsageLedger {
  readonly #counts = new Map<string, KeyCount>();

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
  isWithin(fingerprint: string, maxCells: number, maxBytes: number): boolean {
    const count = this.#counts.get(fingerprint);
    return count === undefined || (count.cells < maxCells && count.bytes < maxBytes);
  }

  /** Forgets keys that have left the pool, once all of their usage is reported. */
  keepOnly(inPool: (fingerprint: string) => boolean): void {
    for (const [fingerprint, count] of this.#counts) {
      if (!inPool(fingerprint) && count.cells === count.reportedCells) this.#counts.delete(fingerprint);
    }
  }

  #add(fingerprint: string, cells: number, bytes: number): void {
    let count = this.#counts.get(fingerprint);
    if (count === undefined) {
      count = { cells: 0, bytes: 0, reportedCells: 0, reportedBytes: 0 };
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
