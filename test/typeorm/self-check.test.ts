/** The self-check at attach, and the fallback for builders that somebody made without the data source. */
import 'reflect-metadata';
import {
  Column,
  Entity,
  InsertQueryBuilder,
  PrimaryColumn,
  SelectQueryBuilder,
  UpdateQueryBuilder,
  type ValueTransformer,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';
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

/** An id as applications have them: of a class of its own, of which the column holds the text. */
class Ulid {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toText(): string {
    return this.text;
  }
}
const ulids: ValueTransformer = { to: (id: Ulid) => id.toText(), from: (text: string) => new Ulid(text) };
const sets: ValueTransformer = {
  to: (tags: Set<string>) => JSON.stringify([...tags]),
  from: (text: string) => new Set(JSON.parse(text) as string[]),
};
const quoted: ValueTransformer = {
  to: (text: string) => text.padStart(text.length + 1, '"'),
  from: (text: string) => text.slice(1),
};

class Labels {
  @Column('text', { transformer: sets }) tags!: Set<string>;
  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) owner!: string;

  constructor(tags: Set<string>, owner: string) {
    this.tags = new Set([...tags]);
    this.owner = owner.trim();
  }
}
@Entity('transformed')
class Transformed {
  @PrimaryColumn('varchar', { length: 40, transformer: ulids }) id!: Ulid;
  @PrimaryColumn('varchar', { length: 40, transformer: [quoted, quoted] }) part!: string;
  @Column('text', { transformer: sets }) tags!: Set<string>;
  @Column('text', { transformer: [sets, quoted] }) marks!: Set<string>;
  @Column('simple-json', { transformer: sets }) json!: Set<string>;
  @Column(() => Labels) labels!: Labels;
  @Encrypted({ purpose: 'personal-data', bind: ['id', 'part'], blindIndex: true }) secret!: string;
}

describe('other columns of an encrypted entity', () => {
  it('may have transformers that expect a value', async () => {
    const attached = await attachFieldSeal(
      dataSourceOf(shop.database.url, [Transformed], { entityPrefix: 'sc_', synchronize: true }),
      shop.seal,
    ).initialize();
    try {
      const tags = new Set(['one', 'two']);
      const labels = new Labels(tags, 'Ada');
      const row = { id: new Ulid('01J'), part: 'a', tags, marks: tags, json: tags, labels, secret: 'hidden' };
      await attached.manager.insert(Transformed, row);
      await attached.manager.update(Transformed, { secret: 'hidden' }, { secret: 'other' });
      const found = await attached
        .createQueryBuilder(Transformed, 't')
        .where({ secret: 'other' })
        .getRawOne<object>();
      expect(found).toMatchObject({ t_id: '01J', t_part: '""a', t_tags: '["one","two"]' });
    } finally {
      await attached.destroy();
    }
  });

  it('keeps the error of code that it has to run, and says where it was', async () => {
    const own = new Error('of the application');
    @Entity('computed')
    class Computed {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', blindIndex: true }) secret!: string;
    }
    const builder = SelectQueryBuilder.prototype as unknown as Hidden;
    vi.spyOn(builder, 'createWhereExpression').mockImplementation(() => {
      throw own;
    });
    const attached = attachFieldSeal(dataSourceOf(shop.database.url, [Computed]), shop.seal);
    await expect(attached.initialize()).rejects.toMatchObject({
      code: 'ERR_CONFIG_ORM',
      message: expect.stringMatching(/SELECT of Computed.*its cause/u) as string,
      cause: own,
    });
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
