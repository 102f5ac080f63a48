/** SQL that is kept must be the SQL that TypeORM would make, whatever was asked for before. */
import { In, IsNull, Not } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ExpressionMapInternals, SelectSelection } from '../../src/typeorm/internals.js';
import { KeptSql } from '../../src/typeorm/kept-sql.js';
import { PerEntity } from '../../src/typeorm/per-entity.js';
import { databaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());
beforeEach(() => shop.recorder.clear());
afterEach(() => vi.restoreAllMocks());

const ID = '00000000-0000-4000-8000-000000000000';

/** One after another on the same aliases, so that each finds what the ones before have left. */
const LOADS: readonly (() => Promise<unknown>)[] = [
  () => shop.dataSource.manager.find(Card),
  () => shop.dataSource.manager.findOneBy(Card, { id: ID }),
  () => shop.dataSource.manager.findOneBy(Card, { pan: '4111111111111111' }),
  () => shop.dataSource.manager.find(Card, { select: { pan: true } }),
  () => shop.dataSource.manager.find(Card, { select: { id: true, note: true } }),
  () =>
    shop.dataSource.manager.find(Card, { where: { note: Not(IsNull()) }, order: { note: 'DESC' }, take: 3 }),
  () => shop.dataSource.manager.find(Card, { where: { id: In([ID, ID]) } }),
  () => shop.dataSource.manager.find(Card, { relations: { customer: true } }),
  () => shop.dataSource.manager.find(Card, { relations: { customer: true }, take: 2 }),
  () => shop.dataSource.manager.find(Customer, { where: { cards: { note: 'x' } } }),
  () => shop.dataSource.manager.count(Card, { where: { note: 'x' } }),
  () => shop.dataSource.createQueryBuilder(Card, 'Card').where("Card.note = 'a note'").getMany(),
  () => shop.dataSource.createQueryBuilder(Card, 'Card').addSelect('1', 'one').getRawAndEntities(),
  () => shop.dataSource.createQueryBuilder(Card, 'Card').getRawMany(),
  () => shop.dataSource.createQueryBuilder(Card, 'Customer').where({ id: ID }).getMany(),
  () => shop.dataSource.createQueryBuilder(Customer, 'Card').where({ id: ID }).getMany(),
];

async function statements(): Promise<string[]> {
  shop.recorder.clear();
  for (const load of LOADS) await load();
  return shop.recorder.of('SELECT');
}

it('is what TypeORM makes when nothing is kept', async () => {
  await statements();
  const kept = await statements();
  expect(kept.length).toBeGreaterThanOrEqual(LOADS.length);
  vi.spyOn(PerEntity.prototype, 'get').mockImplementation((_metadata, _text, make: () => object | string) =>
    make(),
  );
  expect(kept).toEqual(await statements());
});

describe('KeptSql', () => {
  const metadata = () => shop.dataSource.getMetadata(Card);

  function mapOf(more: Partial<ExpressionMapInternals> = {}): ExpressionMapInternals {
    const mainAlias = { name: 'card', hasMetadata: true, metadata: metadata(), target: Card };
    const map: Partial<ExpressionMapInternals> = {
      mainAlias,
      aliases: [mainAlias],
      queryEntity: true,
      selects: [{ selection: 'card' }],
      ...more,
    };
    return map as ExpressionMapInternals;
  }

  /** How often the statement is made when it is asked for twice. */
  function timesMade(statement: string, map = mapOf()): number {
    const kept = new KeptSql(shop.dataSource);
    const make = vi.fn(() => `${statement}!`);
    for (let i = 0; i < 2; i++) expect(kept.withColumnNames(map, statement, make)).toBe(`${statement}!`);
    return make.mock.calls.length;
  }

  it('makes a statement once', () => {
    expect(timesMade('SELECT 1')).toBe(1);
  });

  it.each([
    "name = 'Ada'",
    'phone = 491701234567',
    databaseName === 'mariadb' ? 'name = "Ada"' : "note = E'Ada'",
    ...(databaseName === 'postgres' ? ['name = $$Ada$$'] : []),
  ])('holds no text with what may be a value: %s', (condition) => {
    expect(timesMade(`SELECT 1 WHERE ${condition}`)).toBe(2);
  });

  it('holds no long statement', () => {
    expect(timesMade(`SELECT ${'1, '.repeat(2_000)} 1`)).toBe(2);
  });

  it('holds no statement that other entities decide as well', () => {
    const { mainAlias } = mapOf();
    expect(timesMade('SELECT 1', mapOf({ aliases: [mainAlias!, { ...mainAlias!, name: 'other' }] }))).toBe(2);
  });

  it('holds a hundred of an entity, so that a program may make up as many as it likes', () => {
    const kept = new KeptSql(shop.dataSource);
    const make = vi.fn(() => 'made');
    for (let i = 0; i <= 100; i++) kept.withColumnNames(mapOf(), `SELECT ${i}`, make);
    kept.withColumnNames(mapOf(), 'SELECT 100', make);
    expect(make).toHaveBeenCalledTimes(101);
    kept.withColumnNames(mapOf(), 'SELECT 0', make);
    expect(make).toHaveBeenCalledTimes(102);
  });

  function selectsMade(map: ExpressionMapInternals, of = metadata()): number {
    const kept = new KeptSql(shop.dataSource);
    const make = vi.fn((): SelectSelection[] => [{ selection: 'x', aliasName: 'x' }]);
    kept.selectsOf(map, 'card', of, make).push({ selection: 'taken along', aliasName: 'y' });
    expect(kept.selectsOf(map, 'card', of, make)).toEqual([{ selection: 'x', aliasName: 'x' }]);
    return make.mock.calls.length;
  }

  it('makes the columns of a whole entity once, and gives each statement a list of its own', () => {
    expect(selectsMade(mapOf())).toBe(1);
  });

  it.each<[string, Partial<ExpressionMapInternals>]>([
    ['of a partial select', { selects: [{ selection: 'card.pan' }] }],
    [
      'of a whole select with one column more',
      { selects: [{ selection: 'card' }, { selection: 'card.note' }] },
    ],
    ['of raw rows', { queryEntity: false }],
    ['of another alias', { selects: [{ selection: 'other' }] }],
  ])('makes those %s each time', (_name, map) => {
    expect(selectsMade(mapOf(map))).toBe(2);
  });

  it('makes those of an entity with columns that the application computes each time', () => {
    const computed = Object.create(metadata(), {
      columns: { value: [{ isVirtualProperty: true }] },
    }) as ReturnType<typeof metadata>;
    expect(selectsMade(mapOf(), computed)).toBe(2);
  });
});
