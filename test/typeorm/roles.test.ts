/** Behaviour row 16: database roles that may only INSERT, or that may read everything but cells. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import {
  Column,
  CreateDateColumn,
  DataSource,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted, type AttachOptions } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { newRole, type Role } from './role.js';
import { dataSourceOf, isCellHiding, openShop, Recorder, reload, type Shop } from './shop.js';

/** Everything that makes TypeORM ask for values back: a generated id, defaults, dates. */
@Entity('applications')
class Application {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text', { default: 'new' }) status!: string;
  @CreateDateColumn() made!: Date;
  @DeleteDateColumn() gone!: Date | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) name!: string;
  @OneToMany(() => Attachment, (attachment) => attachment.application, { cascade: true })
  attachments!: Relation<Attachment[]>;
}

@Entity('attachments')
class Attachment {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Encrypted({ purpose: 'personal-data' }) text!: string;
  @ManyToOne(() => Application, (application) => application.attachments, { cascade: ['insert'] })
  application!: Relation<Application>;
}

/** Whose id the application gives. */
@Entity('letters')
class Letter {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Encrypted({ purpose: 'personal-data', bind: ['id'] }) text!: string;
}

@Entity('plain_things')
class PlainThing {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

const ENTITIES = [Application, Attachment, Letter, PlainThing, Card, Customer];
const TABLES = ['applications', 'attachments', 'letters'];
const DENIED = /denied/u;

let shop: Shop;
const recorder = new Recorder();
beforeAll(async () => (shop = await openShop({ entities: ENTITIES })));
afterAll(() => shop.close());
beforeEach((context) => needs(context, 'database roles'));
afterEach(() => recorder.clear());

async function as(
  rights: readonly string[],
  attach: AttachOptions,
  work: (dataSource: DataSource) => Promise<void>,
): Promise<void> {
  const role: Role = await newRole(shop.database, ...rights);
  const dataSource = attachFieldSeal(
    dataSourceOf(role.url, ENTITIES, { logger: recorder }),
    shop.seal,
    attach,
  );
  try {
    await dataSource.initialize();
    recorder.clear();
    await work(dataSource);
  } finally {
    await dataSource.destroy();
    await role.drop();
  }
}

const asInserter = (work: (dataSource: DataSource) => Promise<void>): Promise<void> =>
  as(
    [...TABLES.map((table) => `INSERT ON ${table}`), 'INSERT, SELECT, UPDATE ON plain_things'],
    { insertOnly: true },
    work,
  );

const newest = async (table: string) =>
  (await shop.database.query(`SELECT * FROM ${table} ORDER BY id DESC LIMIT 1`))[0]!;

describe('16 a role with INSERT only, and insertOnly', () => {
  it('cannot do without the option what TypeORM does by default', async () => {
    await as([...TABLES.map((table) => `INSERT ON ${table}`)], {}, async ({ manager }) => {
      await expect(manager.insert(Application, { name: 'Ada' })).rejects.toThrow(DENIED);
    });
  });

  it('inserts rows whose ids and defaults the database makes', () =>
    asInserter(async ({ manager }) => {
      await manager.insert(Application, [{ name: 'Ada' }, { name: 'Bob' }]);
      expect(recorder.of('INSERT')).toHaveLength(1);
      expect(recorder.of('INSERT')[0]).not.toContain('RETURNING');
      const row = await newest('applications');
      expect(isCellHiding(row.name, 'Bob')).toBe(true);
      expect(row).toMatchObject({ status: 'new', gone: null });
      expect((await reload(shop, Application, row.id)).name).toBe('Bob');
    }));

  it('saves new entities that have no id', () =>
    asInserter(async ({ manager }) => {
      const application = manager.create(Application, { name: 'Saved' });
      await manager.save(application);
      expect([application.name, application.id]).toEqual(['Saved', undefined]);
      await manager.save([
        manager.create(Application, { name: 'Two' }),
        manager.create(Application, { name: 'Three' }),
      ]);
      expect(recorder.of('SELECT')).toEqual([]);
      const row = await newest('applications');
      expect((await reload(shop, Application, row.id)).name).toBe('Three');
    }));

  it('inserts rows whose id is given', () =>
    asInserter(async ({ manager }) => {
      const letter = Object.assign(new Letter(), { text: 'Dear Ada' });
      await manager.insert(Letter, letter);
      const other = { id: randomUUID(), text: 'Dear Bob' };
      await manager.createQueryBuilder().insert().into(Letter).values(other).orIgnore().execute();
      await manager.createQueryBuilder().insert().into(Letter).values(other).orIgnore().execute();
      expect((await reload(shop, Letter, letter.id)).text).toBe('Dear Ada');
      expect((await reload(shop, Letter, other.id)).text).toBe('Dear Bob');
    }));

  it('is told to use insert() for save() of an entity with an id, before any statement is sent', () =>
    asInserter(async ({ manager }) => {
      const letter = Object.assign(new Letter(), { text: 'Dear Ada' });
      const refusal = {
        code: 'ERR_QUERY_INSERT_ONLY',
        message: expect.stringContaining('insert()') as string,
      };
      await expect(manager.save(letter)).rejects.toMatchObject(refusal);
      await expect(manager.save(Application, { id: 1, name: 'x' })).rejects.toMatchObject(refusal);
      expect(recorder.statements).toEqual([]);
    }));

  it('is refused what needs more than INSERT, before it is sent', () =>
    asInserter(async ({ manager }) => {
      const id = randomUUID();
      const builder = () => manager.createQueryBuilder();
      const values = { id, text: 'x' };
      const statements = [
        () => manager.upsert(Letter, values, ['id']),
        () => builder().insert().into(Letter).values(values).orUpdate(['text'], ['id']).execute(),
        () => builder().insert().into(Letter).values(values).returning('id').execute(),
        () => manager.update(Letter, { id }, { text: 'y' }),
        () => manager.update(Application, { id: 1 }, { status: 'y' }),
        () => manager.delete(Letter, { id }),
        () => manager.remove(Object.assign(new Letter(), values)),
        () => manager.softDelete(Application, { id: 1 }),
        () => manager.restore(Application, { id: 1 }),
        () => manager.find(Letter),
        () => manager.findBy(Application, { name: 'Ada' }),
        () => manager.count(Letter),
        () => manager.exists(Letter),
        () => manager.preload(Letter, values),
        () => manager.find(Letter, { select: { id: true } }),
      ];
      for (const statement of statements) {
        await expect(statement()).rejects.toMatchObject({ code: 'ERR_QUERY_INSERT_ONLY' });
      }
      expect(
        recorder.statements.map(({ sql }) => sql).filter((sql) => !/^(?:START|ROLLBACK)/u.test(sql)),
      ).toEqual([]);
    }));

  it('does everything with entities that have no encrypted field', () =>
    asInserter(async ({ manager }) => {
      const thing = await manager.save(manager.create(PlainThing, { name: 'plain' }));
      expect(thing.id).toBeTypeOf('number');
      thing.name = 'changed';
      await manager.save(thing);
      expect((await manager.findOneByOrFail(PlainThing, { id: thing.id })).name).toBe('changed');
    }));

  it.each([{}, { listeners: false }])(
    'refuses to save a parent whose children would not know its id, with %j',
    (options) =>
      asInserter(async ({ manager }) => {
        const child = { text: 'lost' };
        const parents = [
          manager.create(Application, { name: 'Parent', attachments: [child] }),
          manager.create(Attachment, { ...child, application: { name: 'Parent' } }),
        ];
        for (const parent of parents) {
          const refused = {
            code: 'ERR_QUERY_INSERT_ONLY',
            message: expect.stringContaining('the id of Application') as string,
          };
          await expect(manager.save(parent, options)).rejects.toMatchObject(refused);
          await expect(manager.save([parent], options)).rejects.toMatchObject(refused);
          await expect(
            manager.transaction((inside) => inside.getRepository(parent.constructor).save(parent, options)),
          ).rejects.toMatchObject(refused);
        }
        expect(recorder.of('INSERT')).toEqual([]);
      }),
  );
});

describe('16 a role without SELECT on cells, and selectCells: false', () => {
  const READ_PLAIN = [
    'SELECT (id, note, customer_id), INSERT, UPDATE ON cards',
    'SELECT (id, status) ON customers',
    'SELECT (id, status, made, gone) ON applications',
  ];
  const asReader = (work: (dataSource: DataSource) => Promise<void>, more: AttachOptions = {}) =>
    as(READ_PLAIN, { selectCells: false, ...more }, work);

  const newCard = async (): Promise<Card> => {
    const customer = Object.assign(new Customer(), { name: 'Ada', cards: [] as Card[] });
    const card = Object.assign(new Card(), { note: 'plain', pan: `44${Date.now()}${Math.random()}` });
    customer.cards = [card];
    await shop.dataSource.manager.save(customer);
    return card;
  };

  it('cannot read without the option', async () => {
    await as(READ_PLAIN, {}, async ({ manager }) => {
      await expect(manager.find(Card)).rejects.toThrow(DENIED);
    });
  });

  it('reads the plain columns of every find, join and query builder', async () => {
    const { id } = await newCard();
    await asReader(async ({ manager }) => {
      const where = { id };
      const plain = { id, note: 'plain' };
      for (const relationLoadStrategy of ['join', 'query'] as const) {
        const found = await manager.findOneOrFail(Card, {
          where,
          relations: { customer: true },
          relationLoadStrategy,
        });
        expect(found).toMatchObject({ ...plain, customer: { status: 'new' } });
        expect([found.pan, found.customer?.name]).toEqual([undefined, undefined]);
      }
      const [built] = await manager
        .createQueryBuilder(Card, 'card')
        .leftJoinAndSelect('card.customer', 'customer')
        .where(where)
        .take(1)
        .getMany();
      expect(built).toMatchObject(plain);
      expect(built?.pan).toBeUndefined();
    });
  });

  it('still asks for a cell that a select names', async () => {
    await asReader(async ({ manager }) => {
      await expect(manager.find(Card, { select: { id: true, pan: true } })).rejects.toThrow(DENIED);
    });
    const card = await newCard();
    const owner = attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), shop.seal, {
      selectCells: false,
    });
    await owner.initialize();
    const options = { where: { id: card.id }, select: { id: true, pan: true } } as const;
    expect((await owner.manager.findOneOrFail(Card, options)).pan).toBe(card.pan);
    expect((await owner.manager.findOneOrFail(Card, { where: { pan: card.pan } })).pan).toBeUndefined();
    await owner.destroy();
    expect((await reload(shop, Card, card.id)).pan).toBe(card.pan);
  });

  it('saves what it loaded without touching the cell, and writes a field that is set', async () => {
    const { id } = await newCard();
    const before = await shop.raw('cards', id);
    await asReader(async ({ manager }) => {
      const card = await manager.findOneByOrFail(Card, { id });
      card.note = 'changed';
      await manager.save(card);
      expect(await shop.raw('cards', id)).toEqual({ ...before, note: 'changed' });
      card.pan = '4000000000000002';
      await manager.save(card);
    });
    expect((await reload(shop, Card, id)).pan).toBe('4000000000000002');
  });

  it('together with insertOnly lists plain columns and inserts', async () => {
    const { id } = await newCard();
    await asReader(
      async ({ manager }) => {
        expect(await manager.findOneBy(Card, { id })).toMatchObject({ id, note: 'plain' });
        expect(await manager.count(Application)).toBeGreaterThan(0);
        const card = Object.assign(new Card(), { pan: '4000000000000010' });
        await manager.save(card);
        expect((await reload(shop, Card, card.id)).pan).toBe('4000000000000010');
        card.note = 'again';
        await expect(manager.save(card)).rejects.toMatchObject({ code: 'ERR_QUERY_INSERT_ONLY' });
      },
      { insertOnly: true },
    );
  });
});
