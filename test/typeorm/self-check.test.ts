/** The self-check at attach, and the fallback for builders that somebody made without the data source. */
import { InsertQueryBuilder, SelectQueryBuilder, UpdateQueryBuilder } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());
afterEach(() => vi.restoreAllMocks());

interface Builder {
  readonly expressionMap: { readonly valuesSet: unknown };
}
type Hidden = Record<string, (this: Builder) => unknown>;

describe('self-check', () => {
  it('costs no key and no cell', () => {
    expect(shop.seal.stats().cellsSealed).toBe(0);
  });

  // A TypeORM that reads what it was given past the methods that are overridden.
  it.each([
    ['INSERT', InsertQueryBuilder.prototype, 'createValuesExpression'],
    ['UPDATE', UpdateQueryBuilder.prototype, 'createUpdateExpression'],
  ])('refuses to start when an %s would carry plaintext', async (kind, prototype, method) => {
    vi.spyOn(prototype as unknown as Hidden, method).mockImplementation(function (this: Builder) {
      return `/* ${JSON.stringify(this.expressionMap.valuesSet)} */`;
    });
    const attached = attachFieldSeal(dataSourceOf(shop.database.url, [Card, Customer]), shop.seal);
    await expect(attached.initialize()).rejects.toMatchObject({
      code: 'ERR_CONFIG_ORM',
      message: expect.stringMatching(new RegExp(`${kind} of (Card|Customer).*got a plaintext`)) as string,
    });
  });

  it('refuses to start when a search would carry the searched value', async () => {
    const prototype = SelectQueryBuilder.prototype as unknown as Record<string, (where: object) => unknown>;
    vi.spyOn(prototype, 'getWhereCondition').mockImplementation((where) => JSON.stringify(where));
    const attached = attachFieldSeal(dataSourceOf(shop.database.url, [Card, Customer]), shop.seal);
    await expect(attached.initialize()).rejects.toMatchObject({ code: 'ERR_CONFIG_ORM' });
  });
});

describe('entity managers', () => {
  it('stay those that the data source makes', async () => {
    const source = dataSourceOf(shop.database.url, [Card, Customer]);
    const make = source.createEntityManager.bind(source);
    source.createEntityManager = (runner) => Object.assign(make(runner), { mark: 'own' });
    const attached = await attachFieldSeal(source, shop.seal).initialize();
    const runner = attached.createQueryRunner();
    try {
      expect(runner.manager).toHaveProperty('mark', 'own');
      const nobody = runner.manager.findOneByOrFail(Card, { pan: '4000000000000002' });
      await expect(nobody).rejects.toThrow(/criteria that are not shown/);
    } finally {
      await runner.release();
      await attached.destroy();
    }
  });
});

describe('fallback', () => {
  it('opens what a builder hydrated that was made without the data source', async () => {
    const customer = Object.assign(new Customer(), { name: 'Ada', phone: null, cards: [] });
    const card = Object.assign(new Card(), { pan: '4111111111111111', customer });
    await shop.dataSource.manager.save([customer, card]);
    const found = await new SelectQueryBuilder<Card>(shop.dataSource)
      .select('card')
      .from(Card, 'card')
      .leftJoinAndSelect('card.customer', 'customer')
      .getMany();
    expect(found[0]?.pan).toBe('4111111111111111');
    expect(found[0]?.customer).toMatchObject({ name: 'Ada', phone: null });
  });

  it('is not in the way once nothing is sealed any more', () => {
    const subscriber = shop.dataSource.subscribers.at(-1) as object | undefined;
    expect(subscriber).toBeDefined();
    expect(Reflect.get(subscriber!, 'afterLoad')).toBeUndefined();
  });

  it('fails the load when a cell cannot be opened', async () => {
    const card = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: '4000000000000002' }));
    await shop.tamper('cards', card.id, { pan: Buffer.from([0]) });
    const load = new SelectQueryBuilder<Card>(shop.dataSource)
      .select('c')
      .from(Card, 'c')
      .where({ id: card.id })
      .getMany();
    await expect(load).rejects.toMatchObject({ code: 'ERR_FORMAT_CELL' });
  });
});
