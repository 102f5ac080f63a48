/**
 * Sealing and opening cells against the usual way: a fresh `aes-256-gcm` cipher object for each value.
 * Both do the whole work from value to cell and back, with the same context authenticated, in one process, in rounds
 * that take turns. Times are medians of the rounds; a ratio is the median of the ratios of each round, so that a machine
 * that slows down for a while slows both sides. Opening is compared twice: with sealing by GCM, and with opening by GCM,
 * which is faster since it draws no nonce. Options: --json (one JSON object on stdout), --short (a few seconds).
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import process from 'node:process';
import { type CellColumn, cellColumn, contextOf } from '../src/cell/column.js';
import { DataKey } from '../src/cell/data-key.js';
import { CellGroups } from '../src/cell/cell-groups.js';
import { beginOpening, openCells, type Opening } from '../src/cell/open.js';
import { sealCells } from '../src/cell/seal.js';
import { measureBlocks } from './cells/blocks.js';
import { measureDeliveries } from './cells/deliveries.js';
import { figure, measureAll, median, ratio, round, type Times, type Way } from './cells/ways.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;
const VALUE_BYTES = [16, 64, 1024];
const BATCHES = [1, 50, 1000];
const SUITE = 'aes-256-siv';
const ACCEPT = { accept: { suites: [SUITE], deliveries: ['pool'] } } as const;

const short = process.argv.includes('--short');
const rounds = short ? 7 : 61;
const measureMs = short ? 4 : 8;

const key = DataKey.derive(randomBytes(32), { application: 'bench', purpose: 'card-number' });
const column = cellColumn({
  application: 'bench',
  environment: 'production',
  purpose: 'card-number',
  entity: 'cards',
  field: 'pan',
  codec: 'string',
  pad: 0,
  bound: false,
});
const gcmKey = randomBytes(32);
const context = contextOf(column, 1, key.fingerprint);

/** The usual way: nonce, ciphertext and tag in one buffer; opening joins what the cipher object gives likewise. */
function sealGcm(value: string): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', gcmKey, iv);
  cipher.setAAD(context);
  return Buffer.concat([iv, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

function openGcm(cell: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', gcmKey, cell.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(context);
  decipher.setAuthTag(cell.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(cell.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString(
    'utf8',
  );
}

function valuesOf(count: number, bytes: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i).padStart(bytes, '4111111111111111'));
}

function gcmWays(valueBytes: number): Way[] {
  const [value] = valuesOf(1, valueBytes) as [string];
  const cell = sealGcm(value);
  return [
    { name: 'sealGcm', valueBytes, values: 1, run: () => void sealGcm(value) },
    { name: 'openGcm', valueBytes, values: 1, run: () => void openGcm(cell) },
  ];
}

function cellWays(valueBytes: number, batch: number): Way[] {
  const name = batch === 1 ? 'Single' : `Batch${batch}`;
  const values = valuesOf(batch, valueBytes);
  const keys = values.map(() => key);
  const { cells } = sealCells(SUITE, column, values, keys);
  const [opened] = open([{ column, cells }], [key]) as [unknown[]];
  if (opened.some((value, i) => value !== values[i]))
    throw new Error('The bench does not open what it sealed.');
  return [
    {
      name: `seal${name}`,
      valueBytes,
      values: batch,
      run: () => void sealCells(SUITE, column, values, keys),
    },
    {
      name: `open${name}`,
      valueBytes,
      values: batch,
      run: () => void open([{ column, cells }], [key]),
    },
  ];
}

interface Sealed {
  readonly column: CellColumn;
  readonly cells: readonly (Buffer | null)[];
}

/** Values of each column, as a page is opened once its keys are there. */
function open(page: readonly Sealed[], keys: readonly DataKey[]): unknown[][] {
  const groups = new CellGroups<Opening>();
  const openings = page.map(({ column, cells }) => beginOpening(groups, column, cells, ACCEPT));
  for (const group of groups.all)
    openCells(
      keys.find(({ fingerprint }) => fingerprint === group.fingerprint)!,
      group,
    );
  return openings.map(({ values }) => values);
}

/** A page as an ORM reads it: 10,000 rows with two columns under 15 keys. Milliseconds. */
function measurePage(): number {
  const rows = 10_000;
  const keys15 = Array.from({ length: 15 }, () =>
    DataKey.derive(randomBytes(32), { application: 'bench', purpose: 'p' }),
  );
  const keys = Array.from({ length: rows }, () => keys15[Math.floor(Math.random() * 15)]!);
  const values = valuesOf(rows, 16);
  const other: CellColumn = cellColumn({ ...column, field: 'holder' });
  const page = [column, other].map((each) => ({
    column: each,
    cells: sealCells(SUITE, each, values, keys).cells,
  }));
  const times = Array.from({ length: rounds }, () => {
    const begin = performance.now();
    open(page, keys15);
    return performance.now() - begin;
  });
  return median(times);
}

/** `VsGcm` is against sealing with a fresh cipher object, `VsGcmOpen` of an opening against opening with one. */
function ratiosOf(ways: readonly Way[], times: Times): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const way of ways) {
    if (way.name.endsWith('Gcm')) continue;
    const against = (name: string): number => ratio(times, figure(way), figure({ ...way, name }));
    ratios[figure(way, 'VsGcm')] = against('sealGcm');
    if (way.name.startsWith('open')) ratios[figure(way, 'VsGcmOpen')] = against('openGcm');
  }
  return ratios;
}

const ways = VALUE_BYTES.flatMap((bytes) => [
  ...gcmWays(bytes),
  ...BATCHES.flatMap((batch) => cellWays(bytes, batch)),
]);
const times = measureAll(ways, { rounds, measureMs });
const medians = new Map([...times].map(([name, ofRounds]) => [name, median(ofRounds)]));
const result = {
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    arch: process.arch,
    platform: process.platform,
  },
  versions: { node: process.versions.node, openssl: process.versions.openssl, v8: process.versions.v8 },
  rounds,
  nsPerValue: Object.fromEntries([...medians].map(([name, ns]) => [name, round(ns, 0)])),
  openPage10000x2Ms: round(measurePage(), 2),
  ...ratiosOf(ways, times),
  ...measureDeliveries({ rounds, measureMs }),
  ...(await measureBlocks(short ? { repetitions: 1, warmUp: 0 } : { repetitions: 9, warmUp: 3 })),
};
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
else printTable();

function printTable(): void {
  console.log(
    `${result.machine.cpu} (${result.machine.cpus}), Node ${result.versions.node}, medians of ${rounds} rounds`,
  );
  console.log('value   way                ns a value   of one-shot GCM   of GCM opening');
  for (const way of ways) {
    const ratio = (result as Record<string, unknown>)[figure(way, 'VsGcm')];
    const ns = medians.get(figure(way))!.toFixed(0);
    const shares = [ratio, (result as Record<string, unknown>)[figure(way, 'VsGcmOpen')]].map((share) =>
      typeof share === 'number' ? share.toFixed(2).padStart(17) : ''.padStart(17),
    );
    console.log(
      `${String(way.valueBytes).padStart(5)}   ${way.name.padEnd(16)} ${ns.padStart(12)} ${shares.join('')}`,
    );
  }
  console.log(`page of 10,000 rows, 2 columns, 15 keys: opened in ${result.openPage10000x2Ms} ms`);
  const { usPerRecord, group10000Ms, longestBlockMs, processorShare } = result;
  for (const name of [
    'sealedBatch1000VsPool',
    'envelopeReuseBatch1000VsPool',
    'openSealedBatch1000VsPool',
    'openEnvelopeReuseBatch1000VsPool',
  ] as const)
    console.log(`${name.padEnd(32)} ${result[name].toFixed(2)}`);
  console.log('µs a record:', usPerRecord);
  console.log('ms for 10,000 cells to be sorted by their keys:', group10000Ms);
  console.log('longest block of the event loop in ms:', longestBlockMs);
  console.log('share of the processor meanwhile:', processorShare);
}
