/**
 * What encryption costs an application that uses TypeORM: the same statements on an encrypted entity, on a plain one
 * with the same columns, indexes and bytes, and on one with text columns; the last two on data sources that fieldseal
 * is not attached to. All in one process, in rounds that take
 * turns. Times are medians of the rounds; a ratio is the median of the ratios of each round, so that a machine that
 * slows down for a while slows every side. Options: --json (one JSON object on stdout), --short (1,000 rows),
 * --only=find10k (one measurement), --profile (CPU profiles of each measurement into .cache/bench/profiles).
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { multiplyRows, peakRssMb, runAsChild } from './orm/memory.js';
import { profileTo } from './orm/profile.js';
import { openTables, PAGE_KEYS, POOL_KEYS, type Table, type Way } from './orm/tables.js';

const short = process.argv.includes('--short');
const ROWS = short ? 1_000 : 10_000;
const ROUNDS = short ? 2 : 9;
const WARM_UP_ROUNDS = short ? 1 : 2;
/** One look-up is too short for the clock. */
const LOOK_UPS = short ? 100 : 1_000;
/** TypeORM compares every loaded row with every saved one: above a few thousand nothing else would be measured. */
const SAVE = { chunk: 1_000 };
const PROFILED_RUNS = 5;
const MEMORY_RUNS = short ? 1 : 3;
/** Highest ratio to the plain entity that we want to see. Machines differ and CI is noisy: printed, never enforced. */
const LIMITS: Readonly<Record<string, number>> = {
  insert10k: 1.5,
  find10k: 1.5,
  resave10k: 1.3,
  findOne: 1.2,
  findRss100k: 1.5,
};
const PROFILES = '.cache/bench/profiles';

// The SDK's advice to leave Node 20 is of no use here.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
/**
 * Before each measurement, so that none pays for the one before. A full collection would do more than that: it throws
 * optimised code away whose objects have died, in pg, TypeORM and here, and the compiler would be measured.
 */
const BETWEEN = { type: 'minor' } as const;

await runAsChild();

const { tables, access, postgresVersion, close } = await openTables(ROWS);

interface Operation {
  /** Name of the figure; what `--short` measures is smaller and has the same name. */
  readonly name: string;
  /** The time of one run is divided by it. */
  readonly parts: number;
  readonly prepare?: (table: Table) => Promise<unknown>;
  readonly run: (table: Table) => Promise<unknown>;
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'insert10k',
    parts: 1,
    prepare: ({ entity, inserts }) => inserts.getRepository(entity).clear(),
    run: ({ entity, inserts, rows }) => inserts.getRepository(entity).insert([...rows]),
  },
  { name: 'find10k', parts: 1, run: ({ entity, pages }) => pages.getRepository(entity).find() },
  {
    name: 'resave10k',
    parts: 1,
    run: async ({ entity, pages }) => pages.manager.save(await pages.getRepository(entity).find(), SAVE),
  },
  {
    name: 'findOne',
    parts: LOOK_UPS,
    run: async ({ entity, pages, rows }) => {
      const step = Math.floor(rows.length / LOOK_UPS);
      for (let i = 0; i < LOOK_UPS; i++) {
        await pages.getRepository(entity).findOneByOrFail({ id: rows[i * step]!.id });
      }
    },
  },
];

/** The figure of {@link measureMemory}. */
const MEMORY = 'findRss100k';

const only = process.argv.find((option) => option.startsWith('--only='))?.slice('--only='.length);
const chosen = OPERATIONS.filter(({ name }) => only === undefined || name === only);

/** Milliseconds, one of each round. */
type Times = ReadonlyMap<Operation, Readonly<Record<Way, number[]>>>;

async function measureAll(): Promise<Times> {
  const times: Times = new Map(
    chosen.map((operation) => [operation, { encrypted: [], plain: [], text: [] }]),
  );
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (const [operation, byWay] of times) {
      for (const table of rotated(tables, round + WARM_UP_ROUNDS)) {
        const ms = await measure(operation, table);
        if (round >= 0) byWay[table.way].push(ms);
      }
    }
  }
  return times;
}

/** Milliseconds. */
async function measure({ prepare, run, parts }: Operation, table: Table): Promise<number> {
  await prepare?.(table);
  collectGarbage(BETWEEN);
  const begin = performance.now();
  await run(table);
  return (performance.now() - begin) / parts;
}

/** No way comes always behind the same other one. */
function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const first = by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

async function profileAll(): Promise<void> {
  for (const operation of chosen) {
    for (const table of tables) {
      await profileTo(`${PROFILES}/${operation.name}-${table.way}.cpuprofile`, async () => {
        for (let i = 0; i < PROFILED_RUNS; i++) await measure(operation, table);
      });
    }
  }
}

/** A ratio of nothing would be worth nothing: pages must open, and saving again must write no row. */
async function check(): Promise<void> {
  for (const { entity, pages, rows, way } of tables) {
    const repository = pages.getRepository(entity);
    const [first] = rows;
    const found = await repository.findOneByOrFail({ id: first!.id });
    if (String(found.holder) !== String(first!.holder))
      throw new Error(`The ${way} entity is not read as it was written.`);
    const table = repository.metadata.tableName;
    const [{ writes }] = await pages.query<[{ writes: string }]>(
      `SELECT count(DISTINCT xmin::text) AS writes FROM ${table}`,
    );
    if (writes !== '1') throw new Error(`Saving the ${way} entities again has written rows.`);
  }
}

/** Peak memory in MB, one of each run. */
async function measureMemory(): Promise<Readonly<Record<Way, number[]>>> {
  await multiplyRows(tables);
  const byWay: Record<Way, number[]> = { encrypted: [], plain: [], text: [] };
  for (let run = 0; run < MEMORY_RUNS; run++)
    for (const { way } of rotated(tables, run)) byWay[way].push(await peakRssMb(access, way, ROWS));
  return byWay;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

type Measured = ReadonlyMap<string, Readonly<Record<Way, readonly number[]>>>;

function ratios(measured: Measured): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [name, { encrypted, plain, text }] of measured) {
    all[name] = round(median(encrypted.map((figure, i) => figure / plain[i]!)));
    all[`${name}VsText`] = round(median(encrypted.map((figure, i) => figure / text[i]!)));
  }
  return all;
}

/** How far the rounds lie apart: the quartiles of the ratios to the plain entity. A quiet machine has them close. */
function quartiles(measured: Measured): Record<string, [number, number]> {
  return Object.fromEntries(
    [...measured].map(([name, { encrypted, plain }]) => {
      const sorted = encrypted.map((figure, i) => figure / plain[i]!).sort((a, b) => a - b);
      return [name, [round(sorted[sorted.length >> 2]!), round(sorted[(sorted.length * 3) >> 2]!)]];
    }),
  );
}

function medians(measured: Measured): Record<string, Record<Way, number>> {
  return Object.fromEntries(
    [...measured].map(([name, { encrypted, plain, text }]) => [
      name,
      { encrypted: round(median(encrypted)), plain: round(median(plain)), text: round(median(text)) },
    ]),
  );
}

/** TypeORM exports no package.json; run.mjs starts in the root of the repository. */
function versionOf(name: string): string {
  const manifest = readFileSync(`node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

const times = await measureAll();
await check();
if (process.argv.includes('--profile')) await profileAll();
const measured = new Map([...times].map(([{ name }, byWay]) => [name, byWay]));
const memory = new Map(only === undefined || only === MEMORY ? [[MEMORY, await measureMemory()]] : []);
const ratiosOfRounds = { ...ratios(measured), ...ratios(memory) };
const result = {
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    arch: process.arch,
    platform: process.platform,
  },
  versions: {
    node: process.versions.node,
    openssl: process.versions.openssl,
    typeorm: versionOf('typeorm'),
    pg: versionOf('pg'),
    postgres: postgresVersion,
  },
  settings: {
    rows: ROWS,
    columns: 2,
    pageKeys: PAGE_KEYS,
    poolKeys: POOL_KEYS,
    rounds: ROUNDS,
    lookUps: LOOK_UPS,
  },
  ms: medians(measured),
  mb: medians(memory),
  ...ratiosOfRounds,
  quartiles: { ...quartiles(measured), ...quartiles(memory) },
  limits: Object.fromEntries(
    Object.entries(LIMITS)
      .filter(([name]) => name in ratiosOfRounds)
      .map(([name, limit]) => [name, { limit, held: ratiosOfRounds[name]! <= limit }]),
  ),
};
await close();
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
else printTable();

function printTable(): void {
  const { machine, versions } = result;
  console.log(
    `${machine.cpu} (${machine.cpus}), Node ${versions.node}, TypeORM ${versions.typeorm}, PostgreSQL ${versions.postgres}`,
  );
  console.log(`${ROWS} rows, ${PAGE_KEYS} keys, medians of ${ROUNDS} rounds, milliseconds (${MEMORY}: MB)`);
  console.log('              encrypted      plain       text   vs plain   vs text');
  for (const [name, { encrypted, plain, text }] of Object.entries({ ...result.ms, ...result.mb })) {
    const figures = [encrypted, plain, text, ratiosOfRounds[name]!, ratiosOfRounds[`${name}VsText`]!];
    const { limit, held } = result.limits[name]!;
    console.log(
      name.padEnd(12) +
        figures.map((figure) => figure.toFixed(2).padStart(11)).join('') +
        `   limit ${limit}: ${held ? 'held' : 'MISSED'}`,
    );
  }
}
