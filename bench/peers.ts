/**
 * fieldseal beside typeorm-encrypted 0.8.0: the same statements, on TypeORM 0.3.31 and one PostgreSQL, with fieldseal
 * from its packed tarball. A ratio is fieldseal to typeorm-encrypted. Options: --json (one JSON object on stdout),
 * --short (1,000 rows), --only=find10k (one measurement), --profile (CPU profiles into .cache/bench/profiles).
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { openTables, PAGE_KEYS, POOL_KEYS, type Table, type Way } from './orm/peer-tables.js';
import { profileTo } from './orm/profile.js';
import {
  machine,
  type Measured,
  measure,
  measureRounds,
  medianRatio,
  medians,
  type Operation,
  ratioQuartiles,
} from './rounds.js';

const short = process.argv.includes('--short');
const ROWS = short ? 1_000 : 10_000;
const ROUNDS = short ? 2 : 9;
const WARM_UP_ROUNDS = short ? 1 : 3;
/** One look-up is too short for the clock. */
const LOOK_UPS = 100;
const LOOK_UP_TURNS = short ? 1 : 30;
/** TypeORM compares every loaded row with every saved one: above a few thousand nothing else would be measured. */
const SAVE = { chunk: 1_000 };
const PROFILED_RUNS = 5;
const PROFILES = '.cache/bench/profiles';

// The SDK's advice to leave Node 20 is of no use here.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

const { tables, postgresVersion, close } = await openTables(ROWS);

/** Saving again leaves dead rows behind where it writes; nobody is to read around them. */
const vacuum = ({ entity, pages }: Table) =>
  pages.query(`VACUUM ANALYZE ${pages.getMetadata(entity).tableName}`);

const OPERATIONS: readonly Operation<Table>[] = [
  {
    name: 'insert10k',
    parts: 1,
    prepare: ({ entity, inserts }) => inserts.getRepository(entity).clear(),
    run: ({ entity, inserts, rows }) => inserts.getRepository(entity).insert([...rows]),
  },
  {
    name: 'find10k',
    parts: 1,
    prepare: vacuum,
    run: ({ entity, pages }) => pages.getRepository(entity).find(),
  },
  { name: 'resave10k', parts: 1, prepare: vacuum, run: resave },
  {
    name: 'findOne',
    parts: LOOK_UPS,
    turns: LOOK_UP_TURNS,
    begin: vacuum,
    run: async ({ entity, pages, rows }) => {
      const step = Math.floor(rows.length / LOOK_UPS);
      for (let i = 0; i < LOOK_UPS; i++)
        await pages.getRepository(entity).findOneByOrFail({ id: rows[i * step]!.id });
    },
  },
];

async function resave({ entity, pages }: Table): Promise<unknown> {
  return pages.manager.save(await pages.getRepository(entity).find(), SAVE);
}

const only = process.argv.find((option) => option.startsWith('--only='))?.slice('--only='.length);
const chosen = OPERATIONS.filter(({ name }) => only === undefined || name === only);

/** A ratio of nothing would be worth nothing: every row must be read as it was written. */
async function check({ entity, pages, rows, way }: Table): Promise<void> {
  const found = await pages.getRepository(entity).find();
  const byId = new Map(found.map((row) => [row.id, row]));
  const isSame = ({ id, pan, holder }: Table['rows'][number]) =>
    byId.get(id)?.pan === pan && byId.get(id)?.holder === holder;
  if (found.length !== rows.length || !rows.every(isSame))
    throw new Error(`The ${way} entity is not read as it was written.`);
}

/** How many rows are written when nothing has changed: the part of `resave10k` that a fresh nonce in `to()` makes. */
async function rowsResaved(table: Table): Promise<number> {
  const before = await versions(table);
  await resave(table);
  const after = await versions(table);
  return [...after].filter(([id, version]) => before.get(id) !== version).length;
}

/** The transaction that wrote each row, by id. */
async function versions({ entity, pages }: Table): Promise<ReadonlyMap<string, string>> {
  const rows = await pages.query<readonly { id: string; xmin: string }[]>(
    `SELECT id, xmin::text AS xmin FROM ${pages.getMetadata(entity).tableName}`,
  );
  return new Map(rows.map(({ id, xmin }) => [id, xmin]));
}

async function profileAll(): Promise<void> {
  for (const operation of chosen) {
    for (const table of tables) {
      await profileTo(`${PROFILES}/peers-${operation.name}-${table.way}.cpuprofile`, async () => {
        for (let i = 0; i < PROFILED_RUNS; i++) await measure(operation, table);
      });
    }
  }
}

/**
 * `insert10k` is against aes-256-gcm, `insert10kVsGcmWide` the same with the columns and indexes that fieldseal has,
 * `insert10kVsCbc` against aes-256-cbc, which nothing authenticates.
 */
function ratios(measured: Measured<Way>): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [name, { fieldseal, gcm, gcmWide, cbc }] of measured) {
    all[name] = medianRatio(fieldseal, gcm);
    all[`${name}VsGcmWide`] = medianRatio(fieldseal, gcmWide);
    all[`${name}VsCbc`] = medianRatio(fieldseal, cbc);
  }
  return all;
}

/** TypeORM exports no package.json; run.mjs starts in the root of the repository. */
function versionOf(folder: string): string {
  const manifest = readFileSync(`${folder}/package.json`, 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

const measured = await measureRounds(chosen, tables, { rounds: ROUNDS, warmUp: WARM_UP_ROUNDS });
for (const table of tables) await check(table);
const resaved: Partial<Record<Way, number>> = {};
for (const table of tables) resaved[table.way] = await rowsResaved(table);
if (process.argv.includes('--profile')) await profileAll();
const ratiosOfRounds = ratios(measured);
const result = {
  machine: machine(),
  versions: {
    node: process.versions.node,
    openssl: process.versions.openssl,
    fieldseal: versionOf('bench/peers/node_modules/fieldseal'),
    'typeorm-encrypted': versionOf('bench/peers/node_modules/typeorm-encrypted'),
    typeorm: versionOf('bench/peers/node_modules/typeorm'),
    pg: versionOf('node_modules/pg'),
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
  /** Rows that saving with nothing changed writes. */
  resaved,
  ...ratiosOfRounds,
  quartiles: Object.fromEntries(
    [...measured].map(([name, { fieldseal, gcm }]) => [name, ratioQuartiles(fieldseal, gcm)]),
  ),
  faster: Object.fromEntries(chosen.map(({ name }) => [name, { held: ratiosOfRounds[name]! < 1 }])),
};
await close();
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
else printTable();

function printTable(): void {
  const { versions, faster, ms } = result;
  console.log(
    `${result.machine.cpu} (${result.machine.cpus}), Node ${versions.node}, TypeORM ${versions.typeorm}, PostgreSQL ${versions.postgres}`,
  );
  console.log(`${ROWS} rows, ${PAGE_KEYS} keys, medians of ${ROUNDS} rounds, milliseconds`);
  console.log('             fieldseal        gcm    gcmWide        cbc     vs gcm vs gcmWide     vs cbc');
  for (const [name, { fieldseal, gcm, gcmWide, cbc }] of Object.entries(ms)) {
    const compared = ['', 'VsGcmWide', 'VsCbc'].map((suffix) => ratiosOfRounds[name + suffix]!);
    const figures = [fieldseal, gcm, gcmWide, cbc, ...compared];
    console.log(
      name.padEnd(12) +
        figures.map((figure) => figure.toFixed(2).padStart(11)).join('') +
        `   ${faster[name]!.held ? 'faster' : 'SLOWER'}`,
    );
  }
}
