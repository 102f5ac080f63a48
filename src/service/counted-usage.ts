/**
 * Usage that was written to the key store in a hand-out which failed afterwards. The process reports it again, with
 * what came on top; only that is counted then.
 */
import type { KeyUsage } from '../keys/ports.js';

/** Not for concurrent hand-outs: a pool has one refresh in flight. */
export class CountedUsage {
  #counted: ReadonlyMap<string, KeyUsage> = new Map();

  /** What of a report is not in the key store yet. */
  uncounted(report: readonly KeyUsage[]): readonly KeyUsage[] {
    return report.map(({ fingerprint, cells, bytes }) => {
      const counted = this.#counted.get(fingerprint);
      return {
        fingerprint,
        cells: Math.max(0, cells - (counted?.cells ?? 0)),
        bytes: Math.max(0, bytes - (counted?.bytes ?? 0)),
      };
    });
  }

  /** The key store holds all of this report, and the hand-out may still fail. */
  wrote(report: readonly KeyUsage[]): void {
    this.#counted = new Map(report.map((usage) => [usage.fingerprint, usage]));
  }

  /** The hand-out has succeeded; the next report starts at zero. */
  acknowledged(): void {
    this.#counted = new Map();
  }
}
