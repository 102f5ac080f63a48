/**
 * What encryption costs an application that uses TypeORM: the same statements on an encrypted entity, on a plain one
 * with the same columns, indexes and bytes, and on one with text columns; the last two on data sources that fieldseal
 * is not attached to. All in one process, in rounds that take turns. Options: --json (one JSON object on stdout), --short
 * (1,000 rows), --only=find10k (one measurement), --profile (CPU profiles of each measurement into .cache/bench/profiles).
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { ObjectLiteral } from 'typeorm';
import { multiplyRows, peakRssMb, runAsChild } from './orm/memory.js';
import { profileTo } from './orm/profile.js';
import { openTables, PAGE_KEYS, POOL_KEYS, type Table, type Way } from './orm/tables.js';
import {
  machine,
  type Measured,
  measure,
  measureRounds,
  medianRatio,
  medians,
  type Operation,
  ratioQuartiles,
  rotated,
} from './rounds.js';

const short = process.argv.includes('--short');
const ROWS = short ? 1_000 : 10_000;
const ROUNDS = short ? 2 : 15;
const WARM_UP_ROUNDS = short ? 1 : 3;
/** One look-up is too short for the clock. */
const LOOK_UPS = 100;
const LOOK_UP_TURNS = short ? 1 : 30;
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
  findByIndex: 1.2,
  findByIndexEager: 1.2,
  findRss100k: 1.5,
};
const PROFILES = '.cache/bench/profiles';

// The SDK's advice to leave Node 20 is of no use here.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

await runAsChild();

const { tables, access, postgresVersion, close } = await openTables(ROWS);

/** Calls `find` for {@link LOOK_UPS} of the list, as far apart as there are. */
async function lookUp<T>(list: readonly T[], find: (one: T) => Promise<unknown>): Promise<void> {
  const step = Math.floor(list.length / LOOK_UPS);
  for (let i = 0; i < LOOK_UPS; i++) await find(list[i * step]!);
}

const OPERATIONS: readonly Operation<Table>[] = [
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
    turns: LOOK_UP_TURNS,
    run: ({ entity, pages, rows }) =>
      lookUp(rows, ({ id }) => pages.getRepository(entity).findOneByOrFail({ id })),
  },
  {
    name: 'findByIndex',
    parts: LOOK_UPS,
    turns: LOOK_UP_TURNS,
    run: ({ entity, pages, searches }) =>
      lookUp(searches.cards, (where) => pages.getRepository<ObjectLiteral>(entity).findOneByOrFail(where)),
  },
  {
    name: 'findByIndexEager',
    parts: LOOK_UPS,
    turns: LOOK_UP_TURNS,
    run: ({ owner, pages, searches }) =>
      lookUp(searches.owners, (where) => pages.getRepository<ObjectLiteral>(owner).findOneByOrFail(where)),
  },
];

/** The figure of {@link measureMemory}. */
const MEMORY = 'findRss100k';

const only = process.argv.find((option) => option.startsWith('--only='))?.slice('--only='.length);
const chosen = OPERATIONS.filter(({ name }) => only === undefined || name === only);

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
  for (const { entity, owner, pages, rows, searches, way } of tables) {
    const repository = pages.getRepository(entity);
    const [first] = rows;
    const found = await repository.findOneByOrFail({ id: first!.id });
    if (String(found.holder) !== String(first!.holder))
      throw new Error(`The ${way} entity is not read as it was written.`);
    const searched = await pages.getRepository<ObjectLiteral>(owner).findOneByOrFail(searches.owners[0]!);
    if (searched['card'] === null) throw new Error(`The ${way} owner is read without its card.`);
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

function ratios(measured: Measured<Way>): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [name, { encrypted, plain, text }] of measured) {
    all[name] = medianRatio(encrypted, plain);
    all[`${name}VsText`] = medianRatio(encrypted, text);
  }
  return all;
}

/** To the plain entity. */
function quartiles(measured: Measured<Way>): Record<string, [number, number]> {
  return Object.fromEntries(
    [...measured].map(([name, { encrypted, plain }]) => [name, ratioQuartiles(encrypted, plain)]),
  );
}

/** TypeORM exports no package.json; run.mjs starts in the root of the repository. */
function versionOf(name: string): string {
  const manifest = readFileSync(`node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

const measured = await measureRounds(chosen, tables, { rounds: ROUNDS, warmUp: WARM_UP_ROUNDS });
await check();
if (process.argv.includes('--profile')) await profileAll();
const memory = new Map(only === undefined || only === MEMORY ? [[MEMORY, await measureMemory()]] : []);
const ratiosOfRounds = { ...ratios(measured), ...ratios(memory) };
const result = {
  machine: machine(),
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
    lookUpTurns: LOOK_UP_TURNS,
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
  console.log('                  encrypted      plain       text   vs plain   vs text');
  for (const [name, { encrypted, plain, text }] of Object.entries({ ...result.ms, ...result.mb })) {
    const figures = [encrypted, plain, text, ratiosOfRounds[name]!, ratiosOfRounds[`${name}VsText`]!];
    const { limit, held } = result.limits[name]!;
    console.log(
      name.padEnd(16) +
        figures.map((figure) => figure.toFixed(2).padStart(11)).join('') +
        `   limit ${limit}: ${held ? 'held' : 'MISSED'}`,
    );
  }
}
