/** What the context of a cell is: the table and column that TypeORM resolves, or what the declaration pins. */
import 'reflect-metadata';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { openShop, reload, type Shop } from './shop.js';

const FAILED = { code: 'ERR_OPEN_FAILED' };

describe('a table that is renamed', () => {
  const pinned = { purpose: 'personal-data', context: 'people.name', blindIndex: true } as const;
  @Entity('people')
  class Person {
    @PrimaryColumn('int') id!: number;
    @Encrypted(pinned) name!: string;
    @Encrypted({ purpose: 'personal-data' }) mail!: string;
  }
  @Entity('customers_of_today')
  class Customer {
    @PrimaryColumn('int') id!: number;
    @Encrypted({ ...pinned, name: 'full_name' }) name!: string;
  }
  @Entity('customers_of_today')
  class CustomerWithMail extends Customer {
    @Encrypted({ purpose: 'personal-data' }) mail!: string;
  }

  let before: Shop;
  beforeAll(async () => {
    before = await openShop({ entities: [Person] });
    await before.dataSource.manager.save(
      Object.assign(new Person(), { id: 1, name: 'Ada', mail: 'ada@x.org' }),
    );
    await before.database.query('ALTER TABLE people RENAME TO customers_of_today');
    for (const sibling of ['', '_key', '_bidx'])
      await before.database.query(
        `ALTER TABLE customers_of_today RENAME COLUMN name${sibling} TO full_name${sibling}`,
      );
  });
  afterAll(() => before.close());

  it('keeps the cells and indexes of a pinned context', async () => {
    const after = await openShop({ beside: before, entities: [Customer] });
    try {
      expect((await reload(after, Customer, 1)).name).toBe('Ada');
      expect(await after.dataSource.manager.findOneBy(Customer, { name: 'Ada' })).toMatchObject({ id: 1 });
    } finally {
      await after.close();
    }
  });

  it('loses those of one that was not pinned', async () => {
    const after = await openShop({ beside: before, entities: [CustomerWithMail] });
    try {
      await expect(reload(after, CustomerWithMail, 1)).rejects.toMatchObject(FAILED);
    } finally {
      await after.close();
    }
  });
});

describe('a field of an abstract class', () => {
  abstract class Contact {
    @PrimaryColumn('int') id!: number;
    @Encrypted({ purpose: 'personal-data', blindIndex: true, mask: 'last4', control: 'keyed-hash' })
    number!: string;
    numberMask?: string | null;
  }
  @Entity('suppliers')
  class Supplier extends Contact {
    @Column('text', { default: '' }) company!: string;
  }
  @Entity('agents')
  class Agent extends Contact {}
  /** The same table, as another module would map it. */
  @Entity('suppliers')
  class SupplierContact extends Contact {}

  let shop: Shop;
  const [one, two] = ['4111111111111111', '5555555555554444'];
  beforeAll(async () => {
    shop = await openShop({ entities: [Supplier, Agent] });
    const { manager } = shop.dataSource;
    await manager.save(manager.create(Supplier, { id: 1, number: one }));
    await manager.save(manager.create(Agent, { id: 1, number: two }));
  });
  afterAll(() => shop.close());

  it('is sealed, searched and masked in the table of each concrete class', async () => {
    const { manager } = shop.dataSource;
    expect(await manager.findOneByOrFail(Supplier, { number: one })).toMatchObject({
      id: 1,
      numberMask: '1111',
    });
    expect(await manager.findOneByOrFail(Agent, { number: two })).toMatchObject({
      id: 1,
      numberMask: '4444',
    });
    expect(await manager.findOneBy(Agent, { number: one })).toBeNull();
  });

  it('has a context in each table: a cell of one is not opened in the other', async () => {
    const cell = await shop.raw('suppliers', 1);
    const own = await shop.raw('agents', 1);
    const put = (row: Record<string, unknown>) =>
      shop.tamper('agents', 1, { number: row.number, number_key: row.number_key });
    await put(cell);
    await expect(reload(shop, Agent, 1)).rejects.toMatchObject(FAILED);
    await put(own);
    expect((await reload(shop, Agent, 1)).number).toBe(two);
  });

  it('has one context in one table, whichever class reads it', async () => {
    const beside = await openShop({ beside: shop, entities: [Supplier, SupplierContact] });
    try {
      expect((await reload(beside, SupplierContact, 1)).number).toBe(one);
      expect((await reload(beside, Supplier, 1)).number).toBe(one);
    } finally {
      await beside.close();
    }
  });
});
