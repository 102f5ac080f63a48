/**
 * The longest time that large statements and pages keep the event loop from turning, without a database: of several
 * repetitions the median. What other processes take of the processor is in it, since it is a time and not work; how much
 * that was is told beside it.
 */
import process from 'node:process';
import { createFieldSeal, type FieldSeal } from '../../src/keys/create-field-seal.js';
import type { FieldColumn } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { MemorySource } from '../../test/keys/memory-source.js';
import { turnsDuring } from '../longest-block.js';
import { collectGarbage } from '../rounds.js';
import { median, round } from './ways.js';

const PURPOSE = 'card-number';

export interface Repetitions {
  readonly repetitions: number;
  /** Before the first that counts: the compiler is not measured. */
  readonly warmUp: number;
}

interface Opened {
  readonly seal: FieldSeal;
  readonly column: FieldColumn;
}

export interface BlockFigures {
  readonly longestBlockMs: Readonly<Record<string, number>>;
  /** Of the time of all the work, how much this process had the processor; above 1 where it collects garbage beside it. */
  readonly processorShare: Readonly<Record<string, number>>;
}

interface Block {
  readonly ms: number;
  readonly share: number;
}

export async function measureBlocks(repeated: Repetitions): Promise<BlockFigures> {
  const longestOf = longestOfAll(repeated);
  const sealed = await open({ delivery: { sealed: { sessionsPerPage: 5_000 } } });
  const limited = await open({ delivery: { sealed: { sessionsPerPage: 1_000 } } });
  const pool = await open({});
  const { cells } = pool.seal.sealRows([{ column: pool.column, values: values(20_000) }])[0]!;
  const blocks = {
    prepare2000: await longestOf(nothing, async () => {
      (await sealed.seal.prepare([{ column: sealed.column, values: values(2_000) }])).close();
    }),
    openSessions1000: await openingOf(longestOf, sealed, 1_000),
    /** 2,000 of them are refused. */
    openSessions3000Of1000: await openingOf(longestOf, limited, 3_000),
    openPool20000: await longestOf(nothing, async () => pool.seal.openPage([{ column: pool.column, cells }])),
    // What is left: sealing is one synchronous call, made while TypeORM makes the SQL of the statement.
    sealRows500: await sealingOf(longestOf, sealed, 500),
    sealRows1000: await sealingOf(longestOf, sealed, 1_000),
    sealRows2000: await sealingOf(longestOf, sealed, 2_000),
  };
  await Promise.all([sealed, limited, pool].map(({ seal }) => seal.close()));
  return { longestBlockMs: eachOf(blocks, 'ms'), processorShare: eachOf(blocks, 'share') };
}

function eachOf(blocks: Readonly<Record<string, Block>>, figure: keyof Block): Record<string, number> {
  return Object.fromEntries(Object.entries(blocks).map(([name, block]) => [name, block[figure]]));
}

type LongestOf = <T>(given: () => Promise<T>, work: (given: T) => unknown) => Promise<Block>;

const nothing = (): Promise<void> => Promise.resolve();

function openingOf(longestOf: LongestOf, opened: Opened, count: number): Promise<Block> {
  return longestOf(
    () => sealedCells(opened, count),
    (cells) => opened.seal.openPage([{ column: opened.column, cells }]),
  );
}

function sealingOf(longestOf: LongestOf, { seal, column }: Opened, count: number): Promise<Block> {
  const rows = [{ column, values: values(count) }];
  return longestOf(
    () => seal.prepare(rows),
    (keys) => seal.sealRows(rows, keys),
  );
}

async function open(purpose: PurposeOptions): Promise<Opened> {
  const seal = await createFieldSeal({
    application: 'bench',
    environment: 'production',
    purposes: { [PURPOSE]: purpose },
    keys: new MemorySource(),
  });
  return { seal, column: seal.column({ purpose: PURPOSE, entity: 'cards', field: 'pan', codec: 'string' }) };
}

async function sealedCells({ seal, column }: Opened, count: number): Promise<readonly (Buffer | null)[]> {
  const rows = [{ column, values: values(count) }];
  const prepared = await seal.prepare(rows);
  const [sealed] = seal.sealRows(rows, prepared);
  prepared.close();
  return sealed!.cells;
}

/** Medians of the repetitions. */
function longestOfAll({ repetitions, warmUp }: Repetitions): LongestOf {
  return async (given, work) => {
    const blocks: Block[] = [];
    for (let i = -warmUp; i < repetitions; i++) {
      const input = await given();
      collectGarbage();
      const block = await blockOf(async () => await work(input));
      if (i >= 0) blocks.push(block);
    }
    return {
      ms: round(median(blocks.map(({ ms }) => ms)), 1),
      share: round(median(blocks.map(({ share }) => share)), 2),
    };
  };
}

async function blockOf(work: () => Promise<unknown>): Promise<Block> {
  const before = process.cpuUsage();
  const began = performance.now();
  const { longestMs } = await turnsDuring(work);
  const { user, system } = process.cpuUsage(before);
  return { ms: longestMs, share: (user + system) / 1_000 / (performance.now() - began) };
}

function values(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i).padStart(16, '4111111111111111'));
}
