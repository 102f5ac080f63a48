/** Statements that wait before they are sent, and transactions that end meanwhile: nothing is written outside of them. */
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Column, Entity, PrimaryColumn, type QueryRunner } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { newMacKey } from '../kms/mac-key.js';
import { openShop, type Shop } from './shop.js';

/** Waits for data keys, and for indexes. */
@Entity('slow_rows')
class SlowRow {
  @PrimaryColumn('int') id!: number;
  @Column('text') note!: string;
  @Encrypted({ purpose: 'card-number', bind: false, blindIndex: true }) pan!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true }) name!: string | null;
}

/** Its updates by the note read the rows that they match first. */
@Entity('bound_rows')
class BoundRow {
  @PrimaryColumn('int') id!: number;
  @Column('text') note!: string;
  @Encrypted({ purpose: 'reports', bind: ['id'] }) total!: string;
}

const SLOW_MS = 150;
const ENDS = ['commitTransaction', 'rollbackTransaction'] as const;

let shop: Shop;
let runner: QueryRunner;

beforeAll(async () => {
  shop = await openShop({
    entities: [SlowRow, BoundRow],
    kmsOptions: async (kms) => ({
      macKeys: { 'card-number': await newMacKey(kms) },
      keks: {
        'card-number': ['alias/card-a', 'alias/card-b'],
        'personal-data': ['alias/pii-a', 'alias/pii-b'],
        reports: ['alias/pii-a', 'alias/pii-b'],
      },
    }),
    purposes: {
      'card-number': { index: 'kms' },
      'personal-data': { delivery: 'envelope' },
      reports: {},
    },
  });
});
beforeEach(async () => {
  await shop.dataSource.manager.save([slowRow(1), slowRow(2)]);
  await shop.dataSource.manager.save(Object.assign(new BoundRow(), { id: 1, note: 'first', total: '7' }));
  runner = shop.dataSource.createQueryRunner();
  await runner.startTransaction();
});
afterEach(async () => {
  shop.kms.faults.clear();
  if (!runner.isReleased) await runner.release();
  await shop.dataSource.manager.clear(SlowRow);
  await shop.dataSource.manager.clear(BoundRow);
});
afterAll(() => shop.close());

const slowRow = (id: number, more: Partial<SlowRow> = {}): SlowRow =>
  Object.assign(new SlowRow(), { id, note: 'first', pan: `4111${id}`, name: `Ada ${id}`, ...more });

const rowsOf = async (): Promise<unknown[]> => {
  const rows = await shop.dataSource.manager.find(SlowRow, { order: { id: 'ASC' } });
  return rows.map(({ id, note, name }) => [id, note, name]);
};
const BEFORE = [
  [1, 'first', 'Ada 1'],
  [2, 'first', 'Ada 2'],
];

/** Rejects later than it is looked at, so that nobody takes it for unhandled. */
const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'sent',
    (error: unknown) => (error as { readonly code?: unknown }).code,
  );

describe.each(ENDS)('after %s', (end) => {
  it.each<[string, string, (of: QueryRunner) => Promise<unknown>]>([
    [
      'an insert that waits for its key',
      'GenerateDataKey',
      ({ manager }) => manager.insert(SlowRow, slowRow(3)),
    ],
    [
      'an insert that waits for its index',
      'GenerateMac',
      ({ manager }) => manager.insert(SlowRow, slowRow(3, { name: null })),
    ],
    [
      'an update that waits for its key',
      'GenerateDataKey',
      ({ manager }) => manager.update(SlowRow, { id: 1 }, { name: 'Eve' }),
    ],
    [
      'an update that waits for its index',
      'GenerateMac',
      ({ manager }) => manager.update(SlowRow, { id: 1 }, { pan: '42', note: 'late' }),
    ],
    [
      'an update by an index',
      'GenerateMac',
      ({ manager }) => manager.update(SlowRow, { pan: '41111' }, { note: 'late' }),
    ],
    ['a delete by an index', 'GenerateMac', ({ manager }) => manager.delete(SlowRow, { pan: '41111' })],
  ])('%s is not sent', async (_, operation, begin) => {
    shop.kms.faults.inject(operation, 'slow', { delayMs: SLOW_MS });
    const outcome = outcomeOf(begin(runner));
    await sleep(SLOW_MS / 3);
    await runner[end]();
    expect(await outcome).toBe('ERR_QUERY_TRANSACTION_ENDED');
    shop.kms.faults.clear();
    expect(await rowsOf()).toEqual(BEFORE);
  });

  it('an update that has to read its rows first is not sent', async () => {
    const outcome = outcomeOf(runner.manager.update(BoundRow, { note: 'first' }, { total: '8' }));
    await runner[end]();
    expect(await outcome).toBe('ERR_QUERY_TRANSACTION_ENDED');
    expect((await shop.dataSource.manager.findOneByOrFail(BoundRow, { id: 1 })).total).toBe('7');
  });
});

it('a save of several rows leaves none changed when the index of one cannot be made', async () => {
  const rows = await runner.manager.find(SlowRow, { order: { id: 'ASC' } });
  for (const row of rows) Object.assign(row, { pan: `42${row.id}`, note: 'lost' });
  shop.kms.faults.inject('GenerateMac', 'denied', { times: 1 });
  shop.kms.faults.inject('GenerateMac', 'slow', { times: 1, delayMs: SLOW_MS });
  await expect(runner.manager.save(rows)).rejects.toMatchObject({ code: 'ERR_KMS_DENIED' });
  await runner.rollbackTransaction();
  await sleep(2 * SLOW_MS);
  expect(await rowsOf()).toEqual(BEFORE);
});

it('nor does a save that has a transaction of its own', async () => {
  await runner.rollbackTransaction();
  const rows = await shop.dataSource.manager.find(SlowRow, { order: { id: 'ASC' } });
  for (const row of rows) Object.assign(row, { name: 'lost', note: 'lost' });
  shop.kms.faults.inject('GenerateDataKey', 'denied', { times: 1 });
  shop.kms.faults.inject('GenerateDataKey', 'slow', { times: 1, delayMs: SLOW_MS });
  await expect(shop.dataSource.manager.save(rows)).rejects.toMatchObject({ code: 'ERR_KMS_DENIED' });
  await sleep(2 * SLOW_MS);
  expect(await rowsOf()).toEqual(BEFORE);
});

it('statements that wait at the same time are sent while the transaction lasts', async () => {
  shop.kms.faults.inject('*', 'slow', { delayMs: 20 });
  await Promise.all([
    runner.manager.insert(SlowRow, slowRow(3)),
    runner.manager.update(SlowRow, { pan: '41111' }, { name: 'Eve' }),
    runner.manager.delete(SlowRow, { pan: '41112' }),
  ]);
  await runner.commitTransaction();
  expect(await rowsOf()).toEqual([
    [1, 'first', 'Eve'],
    [3, 'first', 'Ada 3'],
  ]);
});
