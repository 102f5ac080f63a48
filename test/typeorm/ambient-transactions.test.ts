/** Libraries that carry a transaction along without naming it: no statement leaves it, in whichever order they are put on. */
import 'reflect-metadata';
import { Column, DataSource, Entity, JoinTable, ManyToMany, PrimaryColumn, type Relation } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';
import { dataSourceOf, isCellHiding, openShop, type Shop } from './shop.js';
import { loadTypeormTransactional } from './typeorm-transactional.js';

@Entity('ambient_cards')
class AmbientCard {
  @PrimaryColumn('int') id!: number;
  @Column('text') note!: string;
  @Encrypted({ purpose: 'card-number', bind: ['id'], blindIndex: true }) pan!: string;
  @ManyToMany(() => AmbientTag)
  @JoinTable({ name: 'ambient_card_tags' })
  tags!: Relation<AmbientTag[]>;
}

/** Nothing in it is encrypted. */
@Entity('ambient_tags')
class AmbientTag {
  @PrimaryColumn('int') id!: number;
  @Column('text') text!: string;
}

const entities = [AmbientCard, AmbientTag];
const library = loadTypeormTransactional();
library.initializeTransactionalContext({ storageDriver: library.StorageDriver.ASYNC_LOCAL_STORAGE });

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities })));
afterAll(() => shop.close());

type Order = (dataSource: DataSource, name: string) => DataSource;
const attach = (dataSource: DataSource): DataSource => attachFieldSeal(dataSource, shop.seal);
const makeTransactional: Order = (dataSource, name) =>
  library.addTransactionalDataSource({ name, dataSource });

describe.each<[string, Order]>([
  ['before the DataSource is attached', (plain, name) => attach(makeTransactional(plain, name))],
  ['after the DataSource is attached', (plain, name) => makeTransactional(attach(plain), name)],
])('typeorm-transactional put on %s', (name, order) => {
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = order(dataSourceOf(shop.database.url, entities), name);
    await dataSource.initialize();
  });
  afterAll(() => dataSource.destroy());
  beforeEach(async () => {
    for (const table of ['ambient_card_tags', 'ambient_cards', 'ambient_tags'])
      await shop.dataSource.query(`DELETE FROM ${table}`);
    await dataSource.manager.save(AmbientTag, [
      { id: 1, text: 'first' },
      { id: 2, text: 'second' },
    ]);
    await dataSource.manager.save(AmbientCard, { id: 1, note: 'first', pan: '4111', tags: [{ id: 1 }] });
  });

  const everything = async (): Promise<unknown> => [
    await shop.dataSource.query('SELECT * FROM ambient_cards'),
    await shop.dataSource.query('SELECT * FROM ambient_tags ORDER BY id'),
    await shop.dataSource.query('SELECT * FROM ambient_card_tags'),
  ];
  const inTransaction = (work: () => Promise<void>): Promise<void> =>
    library.runInTransaction(work, { connectionName: name });

  it.each<[string, () => Promise<unknown>]>([
    [
      'an update by a builder',
      () =>
        dataSource.createQueryBuilder().update(AmbientCard).set({ pan: '5555' }).where({ id: 1 }).execute(),
    ],
    [
      'an update of an entity without encrypted fields',
      () => dataSource.createQueryBuilder().update(AmbientTag).set({ text: 'x' }).where({ id: 1 }).execute(),
    ],
    [
      'an update by a builder of the entity',
      () =>
        dataSource
          .createQueryBuilder(AmbientCard, 'card')
          .update()
          .set({ pan: '5555' })
          .where({ pan: '4111' })
          .execute(),
    ],
    [
      'an update that reads its rows first',
      () =>
        dataSource
          .createQueryBuilder()
          .update(AmbientCard)
          .set({ pan: '5555' })
          .where('note = :n', { n: 'first' })
          .execute(),
    ],
    [
      'an insert',
      () =>
        dataSource
          .createQueryBuilder()
          .insert()
          .into(AmbientCard)
          .values({ id: 2, note: 'x', pan: '5555' })
          .execute(),
    ],
    ['a delete', () => dataSource.createQueryBuilder().delete().from(AmbientTag).where({ id: 2 }).execute()],
    ['a relation', () => dataSource.createQueryBuilder().relation(AmbientCard, 'tags').of(1).add(2)],
    [
      'a save by a repository',
      () => dataSource.getRepository(AmbientCard).save({ id: 1, note: 'x', pan: '5555' }),
    ],
    [
      'an update by a repository',
      () => dataSource.getRepository(AmbientCard).update({ pan: '4111' }, { pan: '5555' }),
    ],
    ['a delete by a manager', () => dataSource.manager.delete(AmbientCard, { pan: '4111' })],
    ['a statement of one’s own', () => dataSource.query("UPDATE ambient_tags SET text = 'x'")],
  ])('%s is rolled back with the transaction', async (_, work) => {
    const before = await everything();
    const outcome = inTransaction(async () => {
      await work();
      throw new Error('back');
    });
    await expect(outcome).rejects.toThrow('back');
    expect(await everything()).toEqual(before);
  });

  it('reads what the transaction has written, opened', async () => {
    await inTransaction(async () => {
      await dataSource.getRepository(AmbientCard).save({ id: 2, note: 'x', pan: '5555' });
      const builder = dataSource.createQueryBuilder(AmbientCard, 'card').where({ pan: '5555' });
      expect(await builder.getOne()).toMatchObject({ id: 2, pan: '5555' });
      expect(await dataSource.manager.findOneByOrFail(AmbientCard, { pan: '5555' })).toMatchObject({ id: 2 });
    });
    const stored = await shop.raw('ambient_cards', 2);
    expect(isCellHiding(stored.pan, '5555')).toBe(true);
  });
});
