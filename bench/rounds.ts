/**
 * Measurements in one process, in rounds that take turns. Times are medians of the rounds; a ratio is the median of the
 * ratios of each round, so that a machine that slows down for a while slows every side.
 */
import { cpus } from 'node:os';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Something that is measured for each of several ways to have it. */
export interface Operation<T> {
  /** Name of the figure; what `--short` measures is smaller and has the same name. */
  readonly name: string;
  /** The time of one run is divided by it. */
  readonly parts: number;
  /** Runs of each round, which come as rounds of their own: short turns, so that a slow moment hits every side alike. */
  readonly turns?: number;
  /** Before the first run of a subject. */
  readonly begin?: (subject: T) => Promise<unknown>;
  /** Before every run. */
  readonly prepare?: (subject: T) => Promise<unknown>;
  readonly run: (subject: T) => Promise<unknown>;
}

interface Subject {
  readonly way: string;
}

/** A figure of each round, by way, by the name of the operation. */
export type Measured<W extends string> = ReadonlyMap<string, Readonly<Record<W, readonly number[]>>>;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
/**
 * Before each measurement, so that none pays for the one before. A full collection would do more than that: it throws
 * optimised code away whose objects have died, in pg, TypeORM and here, and the compiler would be measured.
 */
export function collectGarbage(): void {
  gc({ type: 'minor' });
}

/**
 * Milliseconds of every operation for every subject, one of each round; the subjects take turns, the operations come one
 * after another. Were they mixed, each would begin with what the one before left: a full collection throws optimised code
 * away, and the compiler would be measured, most of all where a measurement is short.
 */
export async function measureRounds<T extends Subject>(
  operations: readonly Operation<T>[],
  subjects: readonly T[],
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Measured<T['way']>> {
  const times = new Map(
    operations.map(({ name }) => [name, emptyLists(subjects.map(({ way }) => way as T['way']))]),
  );
  for (const operation of operations) {
    const { begin, turns = 1 } = operation;
    for (const subject of subjects) await begin?.(subject);
    for (let round = -warmUp * turns; round < rounds * turns; round++) {
      for (const subject of rotated(subjects, round + warmUp * turns)) {
        const ms = await measure(operation, subject);
        if (round >= 0) times.get(operation.name)![subject.way as T['way']].push(ms);
      }
    }
  }
  return times;
}

/** Milliseconds of one run. */
export async function measure<T>({ prepare, run, parts }: Operation<T>, subject: T): Promise<number> {
  await prepare?.(subject);
  collectGarbage();
  const begin = performance.now();
  await run(subject);
  return (performance.now() - begin) / parts;
}

function emptyLists<W extends string>(ways: readonly W[]): Record<W, number[]> {
  return Object.fromEntries(ways.map((way) => [way, [] as number[]])) as Record<W, number[]>;
}

/** No way comes always behind the same other one. */
export function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const first = by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

/** Of the ratios of each round. */
export function medianRatio(figures: readonly number[], baseline: readonly number[]): number {
  return round(median(figures.map((figure, i) => figure / baseline[i]!)));
}

/** How far the rounds lie apart: the quartiles of their ratios. A quiet machine has them close. */
export function ratioQuartiles(figures: readonly number[], baseline: readonly number[]): [number, number] {
  const sorted = figures.map((figure, i) => figure / baseline[i]!).sort((a, b) => a - b);
  return [round(sorted[sorted.length >> 2]!), round(sorted[(sorted.length * 3) >> 2]!)];
}

export function medians<W extends string>(measured: Measured<W>): Record<string, Record<W, number>> {
  return Object.fromEntries([...measured].map(([name, byWay]) => [name, mediansOf(byWay)]));
}

function mediansOf<W extends string>(byWay: Readonly<Record<W, readonly number[]>>): Record<W, number> {
  const entries = Object.entries<readonly number[]>(byWay);
  return Object.fromEntries(entries.map(([way, all]) => [way, round(median(all))])) as Record<W, number>;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

/** As it stands in a result. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    arch: process.arch,
    platform: process.platform,
  };
}
