/** Select builders are made at once where `createQueryBuilder` is TypeORM's own, else of what somebody else's returns. */
import 'reflect-metadata';
import { DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('notes')
class Note {
  @PrimaryColumn('varchar') id!: string;
}

const PAN = '4111111111111111';
let shop: Shop;

beforeAll(async () => {
  shop = await openShop({ entities: [Card, Customer, Note] });
  await shop.dataSource.manager.save(Object.assign(new Card(), { pan: PAN }));
});
afterAll(() => shop.close());

/** Another data source over the same tables. */
async function findThrough(dataSource: DataSource): Promise<Card | null> {
  await attachFieldSeal(dataSource, shop.seal).initialize();
  try {
    return await dataSource.getRepository(Card).findOneBy({ pan: PAN });
  } finally {
    await dataSource.destroy();
  }
}

it('have the alias that TypeORM gives a name that the database would cut', async () => {
  const plain = await dataSourceOf(shop.database.url, [Note]).initialize();
  try {
    for (const alias of ['card', 'c'.repeat(80)]) {
      const [ours, theirs] = [shop.dataSource, plain].map((one) => one.createQueryBuilder(Note, alias).alias);
      expect(ours).toBe(theirs);
    }
  } finally {
    await plain.destroy();
  }
});

it('run on the query runner that they are made for', async () => {
  const other = '5555555555554444';
  const queryRunner = shop.dataSource.createQueryRunner();
  const { manager } = queryRunner;
  await queryRunner.startTransaction();
  try {
    await manager.save(Object.assign(new Card(), { pan: other }));
    const byAlias = manager.createQueryBuilder(Card, 'card').where({ pan: other });
    expect((await byAlias.getOne())?.pan).toBe(other);
    const without = manager.createQueryBuilder().select('card').from(Card, 'card').where({ pan: other });
    expect((await without.getOne())?.pan).toBe(other);
  } finally {
    await queryRunner.rollbackTransaction();
    await queryRunner.release();
  }
  expect(await shop.dataSource.manager.findOneBy(Card, { pan: other })).toBeNull();
});

it('are asked of a method that stands on the data source when it is attached', async () => {
  const dataSource = dataSourceOf(shop.database.url, [Card, Customer]);
  const own = dataSource.createQueryBuilder.bind(dataSource) as (...args: unknown[]) => never;
  let asked = 0;
  dataSource.createQueryBuilder = (...args: unknown[]) => {
    asked += 1;
    return own(...args);
  };
  expect((await findThrough(dataSource))?.pan).toBe(PAN);
  expect(asked).toBeGreaterThan(1);
});

it('are asked of the method of a subclass', async () => {
  let asked = 0;
  class Counting extends DataSource {
    override createQueryBuilder(...args: unknown[]): never {
      asked += 1;
      return (super.createQueryBuilder as (...args: unknown[]) => never).apply(this, args);
    }
  }
  expect((await findThrough(new Counting(shop.dataSource.options)))?.pan).toBe(PAN);
  expect(asked).toBeGreaterThan(1);
});
