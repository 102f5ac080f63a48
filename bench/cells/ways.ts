/** Ways to do a thing with cells, measured in rounds that take turns. */
import process from 'node:process';

export interface Way {
  /** Name of the figure, such as `sealSingle`. */
  readonly name: string;
  readonly valueBytes: number;
  /** Values per run. */
  readonly values: number;
  run(): void;
}

export interface Rounds {
  readonly rounds: number;
  /** Of one measurement; long enough that the clock and one collection of garbage do not matter. */
  readonly measureMs: number;
}

/** Nanoseconds a value of every round, by figure. */
export type Times = ReadonlyMap<string, readonly number[]>;

export function measureAll(ways: readonly Way[], { rounds, measureMs }: Rounds): Times {
  const plans = ways.map((way) => ({ way, runs: calibrate(way, measureMs), times: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { way, runs, times } of plans) times.push(measure(way, runs));
  }
  return new Map(plans.map(({ way, times }) => [figure(way), times]));
}

/** `sealSingle` for 16 bytes, `sealSingle64` for 64. */
export function figure({ name, valueBytes }: Pick<Way, 'name' | 'valueBytes'>, suffix = ''): string {
  return `${name}${suffix}${valueBytes === 16 ? '' : valueBytes}`;
}

/** The median of the ratios of each round. */
export function ratio(times: Times, way: string, baseline: string): number {
  const ofBaseline = times.get(baseline)!;
  return round(median(times.get(way)!.map((time, i) => time / ofBaseline[i]!)), 3);
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Nanoseconds a value. */
function measure(way: Way, runs: number): number {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) way.run();
  return Number(process.hrtime.bigint() - begin) / (runs * way.values);
}

/** As many runs as fill one measurement, found by doubling; warms the way up as well. */
function calibrate(way: Way, measureMs: number): number {
  let runs = 1;
  while (measure(way, runs) * runs * way.values < measureMs * 1e6) runs *= 2;
  return runs;
}
