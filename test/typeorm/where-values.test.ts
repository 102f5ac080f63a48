/** What absent values in a search mean (`invalidWhereValuesBehavior`), and SQL in the place of values. */
import 'reflect-metadata';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
let ada: Customer;
beforeAll(async () => {
  shop = await openShop({ entities: [Card, Customer] });
  const { manager } = shop.dataSource;
  [ada] = (await manager.save([
    manager.create(Customer, { name: 'Ada', phone: null }),
    manager.create(Customer, { name: 'Bob', phone: '+44' }),
  ])) as [Customer, Customer];
});
afterAll(() => shop.close());

async function withBehavior(behavior: object, run: (dataSource: DataSource) => Promise<void>): Promise<void> {
  const options = { invalidWhereValuesBehavior: behavior };
  const dataSource = attachFieldSeal(dataSourceOf(shop.database.url, [Card, Customer], options), shop.seal);
  await dataSource.initialize();
  try {
    await run(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

const refused = { code: 'ERR_QUERY_UNSUPPORTED' };

describe('a search for null', () => {
  it("finds rows without a value where the application says 'sql-null'", () =>
    withBehavior({ null: 'sql-null' }, async ({ manager }) => {
      expect(await manager.findBy(Customer, { phone: null as never })).toEqual([
        expect.objectContaining({ id: ada.id }),
      ]);
      expect(await manager.find(Card, { where: { customer: { phone: null as never } } })).toEqual([]);
    }));

  it("is refused elsewhere, 'ignore' included: it would match every row", async () => {
    for (const behavior of [{}, { null: 'throw' }, { null: 'ignore', undefined: 'ignore' }]) {
      await withBehavior(behavior, async ({ manager }) => {
        await expect(manager.findBy(Customer, { phone: null as never })).rejects.toMatchObject(refused);
        await expect(manager.findBy(Customer, { phone: undefined as never })).rejects.toMatchObject(refused);
      });
    }
  });
});

describe('SQL in the place of a value', () => {
  it('is refused where it names an encrypted field', async () => {
    const { manager } = shop.dataSource;
    for (const sql of ['phone', 'CONCAT(status, phone)', '(SELECT customers.phone FROM other)'])
      await expect(manager.update(Customer, { id: ada.id }, { status: () => sql })).rejects.toMatchObject({
        ...refused,
        message: expect.stringMatching(/^Customer\.phone .*used in the value of another column/u) as string,
      });
    const inserted = { name: 'Eve', phone: null, status: () => '(SELECT phone FROM customers)' };
    await expect(manager.insert(Customer, inserted)).rejects.toMatchObject(refused);
  });

  it('is sent where it names others, and methods of entities are left alone', async () => {
    const { manager } = shop.dataSource;
    await manager.update(Customer, { id: ada.id }, { status: () => "CONCAT('phone', status)" });
    await manager.insert(
      Customer,
      Object.assign(new Customer(), {
        name: 'Eve',
        describe: () => {
          throw new Error();
        },
      }),
    );
    expect((await shop.raw('customers', ada.id)).status).toBe('phonenew');
  });
});
