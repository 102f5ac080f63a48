/** The longest time that large statements and pages keep the event loop from turning, in ms, without a database. */
import { createFieldSeal, type FieldSeal } from '../../src/keys/create-field-seal.js';
import type { FieldColumn } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { MemorySource } from '../../test/keys/memory-source.js';
import { turnsDuring } from '../longest-block.js';
import { median, round } from './ways.js';

const PURPOSE = 'card-number';
const ROUNDS = 7;

interface Opened {
  readonly seal: FieldSeal;
  readonly column: FieldColumn;
}

export async function measureBlocks(): Promise<Record<string, number>> {
  const sealed = await open({ delivery: { sealed: { sessionsPerPage: 5_000 } } });
  const pool = await open({});
  const { cells } = pool.seal.sealRows([{ column: pool.column, values: values(20_000) }])[0]!;
  const blocks = {
    prepare2000: await longest(async () => {
      (await sealed.seal.prepare([{ column: sealed.column, values: values(2_000) }])).close();
    }),
    openSessions1000: await longestOf(
      () => sealedCells(sealed, 1_000),
      (page) => sealed.seal.openPage([{ column: sealed.column, cells: page }]),
    ),
    openPool20000: await longest(async () => pool.seal.openPage([{ column: pool.column, cells }])),
    // What is left: sealing is one synchronous call, made while TypeORM makes the SQL of the statement.
    sealRows500: await longestOf(
      () => sealed.seal.prepare([{ column: sealed.column, values: values(500) }]),
      (keys) => sealed.seal.sealRows([{ column: sealed.column, values: values(500) }], keys),
    ),
  };
  await Promise.all([sealed.seal.close(), pool.seal.close()]);
  return blocks;
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

const longest = (work: () => Promise<unknown>): Promise<number> => longestOf(() => Promise.resolve(), work);

/** The median of the rounds. */
async function longestOf<T>(given: () => Promise<T>, work: (given: T) => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const input = await given();
    rounds.push((await turnsDuring(async () => await work(input))).longestMs);
  }
  return round(median(rounds), 1);
}

function values(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i).padStart(16, '4111111111111111'));
}
