/** The exported conformance suite of ORM adapters, through TypeORM's repositories. */
import {
  In,
  IsNull,
  LessThan,
  Like,
  Not,
  type EntityTarget,
  type FindOptionsOrder,
  type FindOptionsSelect,
  type FindOptionsWhere,
  type ObjectLiteral,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ormConformance,
  type CardRow,
  type CustomerRow,
  type OrmFixture,
  type OrmTable,
  type ValueRow,
  type Where,
} from '../../src/testing/orm-conformance.js';
import { Card, Customer, EveryType } from './entities.js';
import { isAbleTo } from './limits.js';
import { KMS_INDEXES, openShop, type Shop, type ShopOptions } from './shop.js';

const keepsIds = isAbleTo('objects that keep their ids when several are inserted');

let shop: Shop;

/** By who makes the blind indexes. */
describe.each<[string, ShopOptions]>([
  ['keys of the key store', {}],
  ['the KMS', KMS_INDEXES],
])('with indexes made by %s', (_by, options) => {
  beforeAll(async () => (shop = await openShop(options)));
  afterAll(() => shop.close());

  test.each(ormConformance.map(({ row, name, run }) => [row, name, run] as const))(
    '%i %s',
    (_row, _name, run) => run(emptyTables),
  );
});

test('an adapter that stores values as they are does not pass', async () => {
  shop = await openShop();
  const plain = async (): Promise<OrmFixture> => {
    const orm = await emptyTables();
    return {
      ...orm,
      cards: { ...orm.cards, raw: async (id) => ({ ...(await orm.cards.find({ id: id as string }))[0] }) },
    };
  };
  const [stored] = ormConformance;
  await expect(stored!.run(plain)).rejects.toThrow('pan is no cell');
  await shop.close();
});

async function emptyTables(): Promise<OrmFixture> {
  for (const entity of [Card, Customer, EveryType]) {
    await shop.dataSource.createQueryBuilder().delete().from(entity).execute();
  }
  shop.recorder.clear();
  return {
    customers: tableOf<CustomerRow>(Customer, 'customers'),
    cards: tableOf<CardRow>(Card, 'cards'),
    values: tableOf<ValueRow>(EveryType, 'every_type'),
    sent: () => {
      const sent = [...shop.recorder.lines];
      shop.recorder.clear();
      return sent;
    },
    close: () => Promise.resolve(),
  };
}

function tableOf<T extends ObjectLiteral>(entity: EntityTarget<ObjectLiteral>, table: string): OrmTable<T> {
  const repository = () => shop.dataSource.getRepository(entity as EntityTarget<T>);
  return {
    insert: (rows) => repository().insert((keepsIds ? rows : rows.map((row) => ({ ...row }))) as never),
    update: (where, set) => repository().update(whereOf(where), set),
    upsert: (row, by) => repository().upsert(row, [by]),
    remove: (where) => repository().delete(whereOf(where)),
    find: (where, select) =>
      repository().find({
        where: whereOf(where),
        ...(select && {
          select: Object.fromEntries(select.map((name) => [name, true])) as FindOptionsSelect<T>,
        }),
      }),
    findOneOrFail: (where) => repository().findOneByOrFail(whereOf(where)),
    count: (where) => repository().countBy(whereOf(where)),
    findOrdered: (by) => repository().find({ order: { [by]: 'ASC' } as FindOptionsOrder<T> }),
    save: (row) => repository().save(row),
    raw: (id) => shop.raw(table, id as string),
    tamper: (id, columns) => shop.tamper(table, id as string, columns),
  };
}

function whereOf<T extends ObjectLiteral>(where: Where<T>): FindOptionsWhere<T> {
  return Object.fromEntries(
    Object.entries(where).map(([name, test]) => [name, operatorOf(test)]),
  ) as FindOptionsWhere<T>;
}

/** Tests are plain objects with one member, which no value of a searched field is. */
function operatorOf(test: unknown): unknown {
  if (typeof test !== 'object' || test === null) return test;
  const [[kind, operand] = []] = Object.entries(test);
  const operators: Record<string, (operand: never) => unknown> = {
    in: In,
    not: (inner: unknown) => Not(operatorOf(inner)),
    isNull: IsNull,
    lessThan: LessThan,
    like: Like,
  };
  return operators[kind ?? '']?.(operand as never) ?? test;
}
