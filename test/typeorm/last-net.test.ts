/** Values that would reach the driver unsealed or unopened: found before anything is sent, so that the connection lives on. */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { Column, DataSource, Entity, PrimaryColumn, type SelectQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted, type Sealed } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { isAbleTo } from './limits.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('netted')
class Netted {
  @PrimaryColumn('int') id!: number;
  @Column('varchar', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', bind: false, blindIndex: true }) pan!: string;
}

/** The versions of pg that matter: the oldest that is supported, one that does not outlive a bind that throws, the newest. */
const DRIVERS = databaseName === 'postgres' ? ['pg-8.11.0', 'pg-8.20.0', 'pg'] : [databaseName];

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Netted] })));
afterAll(() => shop.close());

describe.each(DRIVERS)('with %s', (driver) => {
  let dataSource: DataSource;
  let sealed: Sealed;

  beforeAll(async () => {
    const options =
      databaseName === 'postgres' ? { driver: createRequire(import.meta.url)(driver) as unknown } : {};
    dataSource = await attachFieldSeal(
      dataSourceOf(shop.database.url, [Netted], {
        ...options,
        extra: { max: 1, connectionLimit: 1 },
      }),
      shop.seal,
      { onUnopenable: 'sealed' },
    ).initialize();
    await dataSource.getRepository(Netted).clear();
    await dataSource.getRepository(Netted).insert({ id: 1, note: 'first', pan: '4111' });
    await shop.tamper('netted', 1, { pan: Buffer.alloc(40, 0xf5) });
    sealed = (await dataSource.getRepository(Netted).findOneByOrFail({ id: 1 })).pan as unknown as Sealed;
  });
  afterAll(() => dataSource.destroy());

  /** A builder of TypeORM's own, as one who replaces `createQueryBuilder` makes it. */
  const plain = (): SelectQueryBuilder<Netted> =>
    (DataSource.prototype.createQueryBuilder as (...args: unknown[]) => SelectQueryBuilder<Netted>).call(
      dataSource,
      Netted,
      'n',
    );

  const past = { code: 'ERR_SEAL_NOT_ATTACHED', message: expect.stringContaining('Netted.pan') as string };
  const closed = { code: 'ERR_SEAL_TYPE', message: expect.not.stringContaining('4111') as string };

  it.each<[string, object, () => unknown]>([
    ['an insert past the DataSource', past, () => plain().insert().values({ id: 2, pan: '4111' }).execute()],
    [
      'an update past the DataSource',
      past,
      () => plain().update().set({ pan: '4111' }).where('id = 1').execute(),
    ],
    ['a search past the DataSource', past, () => plain().where({ pan: '4111' }).getMany()],
    ['a delete past the DataSource', past, () => plain().delete().where({ pan: '4111' }).execute()],
    [
      'a sealed value in a column without encryption',
      closed,
      () => dataSource.manager.update(Netted, 1, { note: sealed as never }),
    ],
    [
      'a sealed value in a saved entity',
      closed,
      () => dataSource.manager.save(Netted, { id: 1, note: sealed as never }),
    ],
    [
      'a sealed value as a parameter',
      closed,
      () => dataSource.createQueryBuilder(Netted, 'n').where('n.note = :s', { s: sealed }).getMany(),
    ],
    [
      'a sealed value in a list',
      closed,
      () =>
        dataSource
          .createQueryBuilder(Netted, 'n')
          .where('n.note IN (:...s)', { s: ['x', sealed] })
          .getMany(),
    ],
    ['a sealed value in raw SQL', closed, () => dataSource.query('SELECT 1', [sealed])],
    ['a sealed value in an array', closed, () => dataSource.query('SELECT 1', [['x', sealed]])],
    [
      'the SQL of such a statement',
      closed,
      () =>
        dataSource
          .createQueryBuilder(Netted, 'n')
          .where('n.note = :s', { s: sealed })
          .getQueryAndParameters(),
    ],
  ])('%s is refused', async (_, expected, act) => {
    await expect((async () => await act())()).rejects.toMatchObject(expected);
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await shop.rawRows('netted')).toMatchObject([{ id: 1, note: 'first' }]);
  });

  it.runIf(isAbleTo('streams'))('a stream of a sealed value is refused', async () => {
    const builder = dataSource.createQueryBuilder(Netted, 'n').where('n.note = :s', { s: sealed });
    await expect(builder.stream()).rejects.toMatchObject(closed);
    await expect((async () => await plain().where({ pan: '4111' }).stream())()).rejects.toMatchObject(past);
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('a transaction is rolled back and its connection used again', async () => {
    const work = dataSource.transaction(async (manager) => {
      await manager.update(Netted, 1, { note: 'second' });
      await manager.update(Netted, 1, { note: sealed as never });
    });
    await expect(work).rejects.toMatchObject(closed);
    expect(await shop.rawRows('netted')).toMatchObject([{ id: 1, note: 'first' }]);
  });

  it('says the order where another library has put its builders past the attached DataSource', async () => {
    const other = attachFieldSeal(dataSourceOf(shop.database.url, [Netted]), shop.seal);
    Object.defineProperty(other, 'createQueryBuilder', {
      value: (DataSource.prototype as { createQueryBuilder: unknown }).createQueryBuilder,
    });
    await other.initialize();
    await expect(other.getRepository(Netted).insert({ id: 3, pan: '4111' })).rejects.toMatchObject({
      code: 'ERR_SEAL_NOT_ATTACHED',
      message: expect.stringContaining('before attachFieldSeal') as string,
    });
    await other.destroy();
  });
});
