/** The values of an INSERT are numbered as they are written; what a statement brings with names of its own still works. */
import 'reflect-metadata';
import { ChildEntity, Column, Entity, PrimaryColumn, TableInheritance } from 'typeorm';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { isCellHiding, openShop, type Shop } from './shop.js';

@Entity('entries')
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Entry {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) text!: string;
  @Column('int', { default: 5 }) amount!: number;
  @Column('varchar', { nullable: true }) note!: string | null;
}
@ChildEntity('late')
class LateEntry extends Entry {}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Entry, LateEntry] })));
afterAll(() => shop.close());
beforeEach(async () => {
  await shop.database.query('DELETE FROM entries');
  shop.recorder.clear();
});

const manager = () => shop.dataSource.manager;
const insert = (...values: object[]) => manager().createQueryBuilder().insert().into(Entry).values(values);
const entries = () => manager().find(Entry, { order: { id: 'ASC' } });

it('go with the rows they belong to, beside defaults, NULL, expressions and the kind of a child', async () => {
  await insert(
    { id: 1, text: 'one', note: 'with :id and $1 in it' },
    { id: 2, text: 'two', amount: () => '40 + 2', note: null },
    { id: 3, text: 'three', amount: 7 },
  ).execute();
  await manager().insert(LateEntry, { id: 4, text: 'four' });
  expect(await entries()).toMatchObject([
    { id: 1, text: 'one', amount: 5, note: 'with :id and $1 in it' },
    { id: 2, text: 'two', amount: 42, note: null },
    { id: 3, text: 'three', amount: 7, note: null },
    { id: 4, text: 'four', amount: 5, note: null },
  ]);
  expect((await entries())[3]).toBeInstanceOf(LateEntry);
});

it('are numbers in the statement where the database counts them, and cells where they stand for a text', () => {
  const [sql, parameters] = insert({ id: 1, text: 'one' }, { id: 2, text: 'two' }).getQueryAndParameters();
  expect(sql).not.toContain('orm_param');
  if (databaseName === 'postgres') {
    const numbers = [...sql.matchAll(/\$(\d+)/gu)].map(([, number]) => Number(number));
    expect(numbers).toEqual(parameters.map((_, i) => i + 1));
  }
  expect(parameters.filter((value) => Buffer.isBuffer(value) && value.length > 16)).toHaveLength(2);
  expect(parameters.some((value) => isCellHiding(value, 'one'))).toBe(true);
  expect(parameters).not.toContain('one');
});

it('have names in SQL that is asked for alone, to be part of another statement', () => {
  const builder = insert({ id: 1, text: 'one' });
  const sql = builder.getQuery();
  const names = [...sql.matchAll(/:(orm_param_\d+)/gu)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(2);
  expect(builder.getParameters()).toMatchObject(
    Object.fromEntries(names.map((name) => [name, expect.anything()])),
  );
});

it('stand beside values that the caller has named, before or while the SQL is made', async () => {
  const before = shop.seal.stats().cellsSealed;
  await insert({ id: 1, text: 'one', amount: () => ':amount' })
    .setParameter('amount', 9)
    .execute();
  expect(shop.seal.stats().cellsSealed - before).toBe(1);
  const builder = insert({
    id: 2,
    text: 'two',
    amount: () => {
      builder.setParameter('late', 10);
      return ':late';
    },
  });
  await builder.execute();
  expect(await entries()).toMatchObject([
    { id: 1, text: 'one', amount: 9 },
    { id: 2, text: 'two', amount: 10 },
  ]);
});

it('are made once for each statement', async () => {
  const before = shop.seal.stats().cellsSealed;
  await insert({ id: 1, text: 'one' }, { id: 2, text: 'two' }).execute();
  expect(shop.seal.stats().cellsSealed - before).toBe(2);
});

it('are not left in the builder', async () => {
  const builder = insert({ id: 1, text: 'one' });
  await builder.execute();
  if (databaseName === 'postgres') expect(Object.keys(builder.getParameters())).not.toContain('orm_param_0');
});

it('are right in an upsert that says which rows it overwrites', async () => {
  await insert({ id: 1, text: 'old', amount: 1 }, { id: 2, text: 'old', amount: 10 }).execute();
  const builder = insert({ id: 1, text: 'new', amount: 5 }, { id: 2, text: 'new', amount: 5 });
  await builder.orUpdate(['text', 'amount'], ['id']).execute();
  expect(await entries()).toMatchObject([
    { text: 'new', amount: 5 },
    { text: 'new', amount: 5 },
  ]);
});
