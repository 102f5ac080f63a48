/** Behaviour row 9: finding rows by an encrypted field, and what is refused. */
import {
  And,
  Between,
  Equal,
  ILike,
  In,
  IsNull,
  LessThan,
  Like,
  MoreThan,
  Not,
  Or,
  Raw,
  type FindOptionsWhere,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Card, Customer } from './entities.js';
import { KMS_INDEXES, openShop, type Shop, type ShopOptions } from './shop.js';

const NAMES = ['Ada', 'Grace', 'Barbara'];
const PANS = ['4111111111111111', '5555555555554444', '378282246310005'];

/** The same answers, whoever makes the indexes. */
describe.each<[string, ShopOptions]>([
  ['made here', {}],
  ['made by the KMS', KMS_INDEXES],
])('by indexes that are %s:', (_made, options) => {
  let shop: Shop;

  beforeAll(async () => {
    shop = await openShop(options);
    const customers = NAMES.map((name, i) =>
      Object.assign(new Customer(), {
        name,
        phone: i === 0 ? null : `+1 555 000${i}`,
        cards: [Object.assign(new Card(), { pan: PANS[i] })],
      }),
    );
    await shop.dataSource.manager.save(customers);
  });
  afterAll(() => shop.close());

  const customers = () => shop.dataSource.getRepository(Customer);
  const cards = () => shop.dataSource.getRepository(Card);
  const namesWhere = async (
    where: FindOptionsWhere<Customer> | FindOptionsWhere<Customer>[],
  ): Promise<string[]> => (await customers().find({ where })).map(({ name }) => name).sort();

  describe('9 where forms that are answered', () => {
    it.each<[string, () => FindOptionsWhere<Customer> | FindOptionsWhere<Customer>[], string[]]>([
      ['a value', () => ({ name: 'Ada' }), ['Ada']],
      ['a value that is normalised', () => ({ name: 'ADA' }), ['Ada']],
      ['Equal', () => ({ name: Equal('Grace') }), ['Grace']],
      ['In', () => ({ name: In(['Ada', 'Grace', 'nobody']) }), ['Ada', 'Grace']],
      ['In of nothing', () => ({ name: In([]) }), []],
      ['Not', () => ({ name: Not('Ada') }), ['Barbara', 'Grace']],
      ['Not Equal', () => ({ name: Not(Equal('Ada')) }), ['Barbara', 'Grace']],
      ['Not In', () => ({ name: Not(In(['Ada', 'Grace'])) }), ['Barbara']],
      ['Or', () => ({ name: Or(Equal('Ada'), Equal('Barbara')) }), ['Ada', 'Barbara']],
      ['And', () => ({ name: And(Not('Ada'), Not('Grace')) }), ['Barbara']],
      ['IsNull without an index', () => ({ phone: IsNull() }), ['Ada']],
      ['Not IsNull', () => ({ phone: Not(IsNull()) }), ['Barbara', 'Grace']],
      ['two branches', () => [{ name: 'Ada' }, { name: 'Grace', status: 'new' }], ['Ada', 'Grace']],
      ['a relation', () => ({ cards: { pan: PANS[2]! } }), ['Barbara']],
    ])('%s', async (_, where, expected) => {
      expect(await namesWhere(where())).toEqual(expected);
    });

    it('serves findBy, findOneBy, count, exists and the query builder', async () => {
      expect(await cards().findBy({ pan: PANS[0]! })).toHaveLength(1);
      expect((await cards().findOneBy({ pan: PANS[1]! }))?.pan).toBe(PANS[1]);
      expect(await cards().countBy({ pan: PANS[0]! })).toBe(1);
      expect(await cards().existsBy({ pan: '4000000000000002' })).toBe(false);
      expect(await cards().createQueryBuilder('c').where({ pan: PANS[2]! }).getMany()).toHaveLength(1);
      expect(
        await cards()
          .createQueryBuilder('c')
          .where('c.note IS NULL')
          .andWhere({ pan: In(PANS) })
          .getCount(),
      ).toBe(3);
      expect(await cards().findAndCount({ where: { pan: In(PANS) }, take: 2 })).toMatchObject([
        { length: 2 },
        3,
      ]);
    });

    it('finds by a relation with take, skip and a join', async () => {
      const found = await customers().find({
        where: { cards: { pan: In(PANS) } },
        relations: { cards: true },
        order: { id: 'ASC' },
        take: 2,
      });
      expect(found).toHaveLength(2);
      for (const { cards: own } of found) expect(PANS).toContain(own[0]?.pan);
    });

    it('can use one operator in two queries', async () => {
      const operator = In(['Ada', 'Grace']);
      expect(await namesWhere({ name: operator })).toEqual(['Ada', 'Grace']);
      expect(await namesWhere({ name: operator })).toEqual(['Ada', 'Grace']);
      expect(operator.value).toEqual(['Ada', 'Grace']);
    });

    it('lets a test for NULL through that is written as SQL', async () => {
      expect(await customers().createQueryBuilder('c').where('c.phone IS NOT NULL').getCount()).toBe(2);
    });
  });

  describe('9 what is refused', () => {
    it.each<[string, () => FindOptionsWhere<Customer>]>([
      ['LessThan', () => ({ name: LessThan('B') })],
      ['MoreThan', () => ({ name: MoreThan('B') })],
      ['Between', () => ({ name: Between('A', 'B') })],
      ['Like', () => ({ name: Like('A%') })],
      ['ILike', () => ({ name: ILike('a%') })],
      ['Raw', () => ({ name: Raw((alias) => `${alias} = 'Ada'`) })],
      ['Not Like', () => ({ name: Not(Like('A%')) })],
      ['Like in a relation', () => ({ cards: { pan: Like('4%') } })],
      ['null', () => ({ name: null as unknown as string })],
      ['undefined', () => ({ name: undefined as unknown as string })],
      ['null within In', () => ({ name: In([null as unknown as string]) })],
    ])('%s', async (_, where) => {
      await expect(customers().find({ where: where() })).rejects.toMatchObject({
        name: 'QueryError',
        code: 'ERR_QUERY_UNSUPPORTED',
        message: expect.stringMatching(/Customer\.name|Card\.pan/) as string,
      });
    });

    it('a search by a field without a blind index', async () => {
      await expect(customers().findBy({ phone: '+1 555 0001' })).rejects.toMatchObject({
        code: 'ERR_QUERY_NO_BLIND_INDEX',
      });
    });

    it('an update or delete by null, which would mean every row', async () => {
      await expect(customers().delete({ name: null as unknown as string })).rejects.toThrow();
      await expect(
        customers().update({ name: undefined as unknown as string }, { status: 'x' }),
      ).rejects.toThrow();
      expect(await customers().count()).toBe(3);
    });

    it.each([
      ['where', () => customers().createQueryBuilder('c').where('c.name = :name', { name: 'Ada' })],
      [
        'where by column',
        () => customers().createQueryBuilder('c').where('"c"."name" = :name', { name: 'Ada' }),
      ],
      [
        'where by bare name',
        () => customers().createQueryBuilder('c').where('lower(name) = :name', { name: 'ada' }),
      ],
      [
        'where in brackets',
        () => customers().createQueryBuilder('c').where("(c.status = 'x' OR c.name LIKE 'A%')"),
      ],
      ['order by', () => customers().createQueryBuilder('c').orderBy('c.name')],
      ['group by', () => customers().createQueryBuilder('c').select('count(*)').groupBy('c.name')],
      ['distinct on', () => customers().createQueryBuilder('c').distinctOn(['c.name'])],
      [
        'having',
        () =>
          customers()
            .createQueryBuilder('c')
            .select('c.status')
            .groupBy('c.status')
            .having('max(c.name) > 1'),
      ],
      [
        'join condition',
        () => customers().createQueryBuilder('c').leftJoin('c.cards', 'k', "k.pan LIKE '4%'"),
      ],
    ])('%s written as SQL', async (_, query) => {
      await expect(query().getRawMany()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    });

    it('order by in find options', async () => {
      await expect(customers().find({ order: { name: 'ASC' } })).rejects.toMatchObject({
        code: 'ERR_QUERY_UNSUPPORTED',
      });
    });

    it('lets text and parameters through that only look like the name of a field', async () => {
      const query = customers()
        .createQueryBuilder('c')
        .where("c.status <> 'name' AND c.status = :name", { name: 'new' });
      expect(await query.getCount()).toBe(3);
    });
  });

  describe('9 a search that the table answers wrongly', () => {
    it('moves with its index: a row found by an index that is not its own is refused', async () => {
      const [ada, grace] = [
        await customers().findOneByOrFail({ name: 'Ada' }),
        await customers().findOneByOrFail({ name: 'Grace' }),
      ];
      const index = (await shop.raw('customers', ada.id)).name_bidx;
      const own = (await shop.raw('customers', grace.id)).name_bidx;
      await shop.database.query('UPDATE customers SET name_bidx = $1 WHERE id = $2', [index, grace.id]);
      try {
        await expect(customers().findBy({ name: 'Ada' })).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
      } finally {
        await shop.database.query('UPDATE customers SET name_bidx = $1 WHERE id = $2', [own, grace.id]);
      }
    });
  });
});
