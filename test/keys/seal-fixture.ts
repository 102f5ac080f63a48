/** A field seal over a memory source and a fake clock. */
import { randomInt } from 'node:crypto';
import { expect, vi } from 'vitest';
import { cellColumn } from '../../src/cell/column.js';
import { sealCells } from '../../src/cell/seal.js';
import { isFieldSealError } from '../../src/errors.js';
import type { ErrorCode, FieldSealError } from '../../src/errors.js';
import { createFieldSeal } from '../../src/keys/create-field-seal.js';
import type { FieldSeal, FieldSealOptions } from '../../src/keys/create-field-seal.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import type { FieldColumn, OpenedColumn, SealedColumn } from '../../src/keys/field-seal.js';
import { FakeClock } from './fake-clock.js';
import { MemorySource } from './memory-source.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const PURPOSE = 'card-number';

const PAN_CELLS = cellColumn({
  ...{ application: 'shop', environment: 'test', purpose: PURPOSE, entity: 'cards', field: 'pan' },
  ...{ codec: 'string', pad: 0, bound: false },
});

export interface Bench {
  readonly seal: FieldSeal;
  readonly source: MemorySource;
  readonly clock: FakeClock;
  readonly events: FieldSealEvent[];
  readonly pan: FieldColumn;
}

export type BenchOptions = Partial<FieldSealOptions> & {
  readonly source?: MemorySource;
  readonly fakeClock?: FakeClock;
};

export async function openBench({
  source = new MemorySource(),
  fakeClock = new FakeClock(),
  ...options
}: BenchOptions = {}): Promise<Bench> {
  const events: FieldSealEvent[] = [];
  const seal = await createFieldSeal({
    application: 'shop',
    environment: 'test',
    purposes: { [PURPOSE]: { pool: { validKeys: 5, handOut: 3 } } },
    keys: source,
    clock: fakeClock,
    randomBelow: (below) => randomInt(below),
    onEvent: (event) => events.push(event),
    ...options,
  });
  const pan = seal.column({ purpose: PURPOSE, entity: 'cards', field: 'pan', codec: 'string' });
  return { seal, source, clock: fakeClock, events, pan };
}

export function sealPans(bench: Bench, values: readonly unknown[]): SealedColumn {
  return bench.seal.sealRows([{ column: bench.pan, values }])[0]!;
}

export async function openPans(
  bench: Bench,
  cells: readonly (Uint8Array | null | undefined)[],
): Promise<OpenedColumn> {
  return (await bench.seal.openPage([{ column: bench.pan, cells }]))[0]!;
}

/** A cell of `cards.pan` that another process sealed under this key. */
export function cellUnder(
  source: MemorySource,
  fingerprint: string,
  { value = '4111111111111111', pad = 0 } = {},
): Buffer {
  const key = source.dataKey(PURPOSE, fingerprint);
  return sealCells('aes-256-siv', cellColumn({ ...PAN_CELLS, pad }), [value], [key]).cells[0]!;
}

export async function rejection(work: Promise<unknown>, code: ErrorCode): Promise<FieldSealError> {
  return coded(
    await work.then(
      () => 'nothing',
      (error: unknown) => error,
    ),
    code,
  );
}

export function thrown(work: () => unknown, code: ErrorCode): FieldSealError {
  let error: unknown = 'nothing';
  try {
    work();
  } catch (caught) {
    error = caught;
  }
  return coded(error, code);
}

function coded(error: unknown, code: ErrorCode): FieldSealError {
  if (!isFieldSealError(error)) throw new Error(`expected ${code}, got ${String(error)}`);
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  return error;
}

/** Runs `work` with a clock that stands, so that a busy machine, which stops processes, makes no slice of it end early. */
export function atOneInstant<T>(work: () => T): T {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
  try {
    return work();
  } finally {
    clock.mockRestore();
  }
}
