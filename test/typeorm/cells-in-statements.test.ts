/** An encrypted column in every place of a statement where the database would compute or compare over its cells. */
import 'reflect-metadata';
import {
  Brackets,
  Column,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  type SelectQueryBuilder,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { databaseName, type DatabaseName } from './databases.js';
import { needs } from './limits.js';
import { openShop, type Shop } from './shop.js';

/** Its encrypted fields are named as types, units and functions are. */
@Entity('entries')
class Entry {
  @PrimaryColumn('int') id!: number;
  @Column({
    type: databaseName === 'mariadb' ? 'datetime' : databaseName === 'sqljs' ? 'datetime' : 'timestamp',
  })
  at!: Date;
  @Column('int', { default: 1 }) rank!: number;
  @Encrypted({ purpose: 'personal-data', type: 'number', nullable: true, blindIndex: true }) amount!: number;
  @Encrypted({ purpose: 'personal-data', nullable: true }) text!: string | null;
  @Encrypted({ purpose: 'personal-data', nullable: true }) date!: string | null;
  @Encrypted({ purpose: 'personal-data', nullable: true }) year!: string | null;
  @ManyToOne('Diary', 'entries', { nullable: true }) diary!: Relation<Diary> | null;
}

@Entity('diaries')
class Diary {
  @PrimaryColumn('int') id!: number;
  /** Plain here, encrypted there. */
  @Column('varchar', { default: 'plain' }) text!: string;
  @Encrypted({ purpose: 'personal-data' }) title!: string;
  @OneToMany('Entry', 'diary', { eager: true }) entries!: Relation<Entry[]>;
}

@Entity('sorted', { orderBy: { secret: 'ASC' } })
class Sorted {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) secret!: string;
}

/** Has nothing to hide, but statements of its own about tables that do. */
@Entity('plain_notes')
class PlainNote {
  @PrimaryColumn('int') id!: number;
  @Column('varchar') text!: string;
}

/** Halfway into an existing table: each of its two columns has the name of the other one's property. */
@Entity('halfway')
class Halfway {
  @PrimaryColumn('int') id!: number;
  @Encrypted({
    purpose: 'personal-data',
    name: 'plainEmail',
    context: 'halfway.email',
    bind: false,
    blindIndex: true,
  })
  email!: string;
  @Column('varchar', { name: 'email', length: 200 }) plainEmail!: string;
}

type Query = SelectQueryBuilder<object>;
type Make = (query: Query) => Query;

/** Only what looks like a field of {@link Entry}, in the words of each database. */
const LOOKALIKES: Readonly<Record<DatabaseName, [string, Make][]>> = {
  postgres: [
    ['a cast', (query) => query.where("CAST(e.at AS text) <> ''")],
    ['EXTRACT', (query) => query.where('EXTRACT(YEAR FROM e.at) > 2000')],
    ['a type behind a cast', (query) => query.select('e.at::date', 'x').where("e.at::text <> ''")],
    ['a typed literal', (query) => query.where("e.at > date '2020-01-01'")],
    ['JSON', (query) => query.where(`'{"text": 1}'::jsonb ->> 'text' = '1'`)],
    ['text between dollars', (query) => query.where('$$e.text = 1$$ <> $a$ text $a$')],
    ['quotes behind E', (query) => query.where(String.raw`E'it\'s e.text' <> ''`)],
  ],
  mariadb: [
    ['a cast', (query) => query.where("CAST(e.at AS date) <> '2000-01-01'")],
    ['EXTRACT', (query) => query.where('EXTRACT(YEAR FROM e.at) > 2000')],
    ['units', (query) => query.where('DATE_ADD(e.at, INTERVAL 1 YEAR) > e.at')],
    ['the unit of a function', (query) => query.where('TIMESTAMPDIFF(YEAR, e.at, e.at) = 0')],
    ['CONVERT', (query) => query.where("CONVERT(e.at, DATE) > '2000-01-01'")],
    ['a literal in double quotes', (query) => query.where('"text" <> "e.text"')],
    ['an escaped quote', (query) => query.where(String.raw`'it\'s e.text' <> ''`)],
  ],
  sqljs: [
    ['a cast', (query) => query.where("CAST(e.at AS text) <> ''")],
    ['a type of its own', (query) => query.where("CAST(e.at AS date) <> ''")],
    ['a format', (query) => query.where("strftime('text', e.at) IS NOT NULL")],
  ],
};
const OF_THIS_DATABASE = LOOKALIKES[databaseName];

let shop: Shop;

beforeAll(async () => {
  shop = await openShop({ entities: [Entry, Diary, Sorted, PlainNote, Halfway] });
  const { manager } = shop.dataSource;
  await manager.insert(Diary, [
    { id: 1, title: 'first' },
    { id: 2, title: 'second' },
  ]);
  await manager.insert(
    Entry,
    [1, 2, 3, 4].map((id) => ({
      id,
      at: new Date('2026-03-04T05:06:07Z'),
      amount: (id === 4 ? null : 10) as number,
      text: `text ${id}`,
      diary: { id: id < 3 ? 1 : 2 },
    })),
  );
  await manager.insert(PlainNote, { id: 1, text: 'x' });
});
afterAll(() => shop.close());

const entries = () => shop.dataSource.getRepository(Entry);
const query = () => entries().createQueryBuilder('e');
const plain = () => shop.dataSource.getRepository(PlainNote).createQueryBuilder('n');
const onPostgres = databaseName === 'postgres';

describe('are refused, with the field and the place', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['sum', () => entries().sum('amount')],
    ['average', () => entries().average('amount', { id: 1 })],
    ['minimum', () => entries().minimum('amount')],
    ['maximum of an entity manager', () => shop.dataSource.manager.maximum(Entry, 'amount')],
    ['sum in a transaction', () => shop.dataSource.transaction((manager) => manager.sum(Entry, 'amount'))],
    ['the order of an entity', () => shop.dataSource.manager.find(Sorted)],
    ['the order of an entity in a builder', () => shop.dataSource.createQueryBuilder(Sorted, 's').getMany()],
    ['order of find', () => entries().find({ order: { amount: 'ASC' } })],
    ['order by a relation', () => entries().find({ order: { diary: { title: 'ASC' } } })],
    [
      'order of a page over joins',
      () =>
        shop.dataSource
          .getRepository(Diary)
          .find({ order: { title: 'ASC' }, relations: { entries: true }, take: 1 }),
    ],
    [
      'order of a page over joins that no row matches',
      () =>
        shop.dataSource
          .getRepository(Diary)
          .find({ where: { id: 99 }, order: { title: 'ASC' }, relations: { entries: true }, take: 1 }),
    ],
    ['increment', () => entries().increment({ id: 1 }, 'amount', 1)],
    ['decrement', () => entries().decrement({ id: 1 }, 'amount', 1)],
  ])('%s', async (_, run) => {
    shop.recorder.clear();
    await expect(run()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
      message: expect.not.stringContaining('written as SQL') as string,
    });
    expect(shop.recorder.of('SELECT')).toEqual([]);
  });

  it.each<[string, () => Query]>([
    ['an aggregate', () => query().select('SUM(e.amount)', 'total')],
    ['an aggregate that is added', () => query().select('e.id').addSelect('MAX(e.amount)').groupBy('e.id')],
    [
      'an aggregate of the column',
      () => query().select(onPostgres ? 'MIN("e"."amount")' : 'MIN(`e`.`amount`)'),
    ],
    ['an expression', () => query().select("COALESCE(e.text, 'none')", 'x')],
    ['a count of values', () => query().select('COUNT(DISTINCT e.amount)', 'values')],
    ['a window', () => query().select('ROW_NUMBER() OVER (PARTITION BY e.amount ORDER BY e.id)', 'n')],
    ['a bare name', () => query().select('LENGTH(text)', 'x')],
    ['CASE', () => query().select("CASE WHEN e.text = 'a' THEN 1 ELSE 0 END", 'x')],
    ['DISTINCT', () => query().select('e.amount').distinct(true)],
    ['DISTINCT of an alias', () => query().select('e.amount', 'a').addSelect('e.rank').distinct(true)],
    ['DISTINCT ON', () => query().distinctOn(['e.amount'])],
    ['order by', () => query().orderBy('e.amount')],
    ['a second order', () => query().orderBy('e.id').addOrderBy('e.amount', 'DESC')],
    ['order by the name of a selected cell', () => query().select('e.amount', 'a').orderBy('a')],
    ['order by the name of a cell in the rows', () => query().orderBy('e_amount')],
    ['order by a number', () => query().select('e.id').addSelect('e.amount').orderBy('2')],
    ['order by an expression', () => query().orderBy('LOWER(e.text)')],
    ['group by', () => query().select('COUNT(*)').groupBy('e.amount')],
    ['a second group', () => query().select('COUNT(*)').groupBy('e.rank').addGroupBy('e.amount')],
    ['group by the name of a selected cell', () => query().select('e.amount', 'a').groupBy('a')],
    ['having', () => query().select('e.rank').groupBy('e.rank').having('MAX(e.amount) > 1')],
    [
      'a second having',
      () => query().select('e.rank').groupBy('e.rank').having('1 = 1').orHaving('SUM(e.amount) > 1'),
    ],
    [
      'brackets',
      () => query().where(new Brackets((inner) => inner.where('e.amount = :amount', { amount: 1 }))),
    ],
    ['a join condition', () => query().leftJoin(Diary, 'd', 'd.title = e.rank')],
    [
      'a sub-query in from',
      () =>
        shop.dataSource
          .createQueryBuilder()
          .select('SUM(s.a)', 'total')
          .from((inner) => inner.select('e.amount', 'a').from(Entry, 'e'), 's') as never as Query,
    ],
    [
      'order by a column of a sub-query',
      () =>
        shop.dataSource
          .createQueryBuilder()
          .select('s.e_id')
          .from((inner) => inner.select('e').from(Entry, 'e'), 's')
          .orderBy('s.e_amount') as never as Query,
    ],
    [
      'a sub-query in select',
      () =>
        query()
          .select('e.id')
          .addSelect(
            (inner) => inner.select('MAX(o.amount)').from(Entry, 'o').where('o.rank = e.rank'),
            'most',
          ),
    ],
    [
      'a sub-query of another entity',
      () =>
        plain().where(
          (builder) => `n.text IN ${builder.subQuery().select('e.text').from(Entry, 'e').getQuery()}`,
        ),
    ],
    [
      'text with an alias of its own',
      () => plain().where("EXISTS (SELECT 1 FROM entries x WHERE x.text = 'a')"),
    ],
    ['text without an alias', () => plain().where("EXISTS (SELECT 1 FROM entries WHERE entries.text = 'a')")],
    ['text with bare names', () => plain().select('(SELECT MAX(amount) FROM entries)', 'most')],
    [
      'text with a join',
      () => plain().where('n.id IN (SELECT d.id FROM diaries d JOIN entries x ON x.date = d.text)'),
    ],
    [
      'text that is a union',
      () => plain().where('n.text IN (SELECT text FROM entries UNION SELECT text FROM plain_notes)'),
    ],
    [
      'a common table expression as text',
      () => plain().addCommonTableExpression('SELECT amount FROM entries GROUP BY amount', 'amounts'),
    ],
    [
      'a common table expression',
      () =>
        plain()
          .addCommonTableExpression(
            shop.dataSource.createQueryBuilder(Entry, 'e').select('e.amount', 'a'),
            'amounts',
          )
          .select('(SELECT SUM(a) FROM amounts)', 'total'),
    ],
    ['an order by text', () => plain().where('n.id IN (SELECT id FROM entries ORDER BY amount)')],
    ['a whole row', () => query().select('row_to_json(e)', 'x')],
    ['a count of whole rows', () => query().select('COUNT(DISTINCT e)', 'n')],
    ['whole rows that are compared', () => query().innerJoin(Entry, 'o', 'o = e')],
    ['a table as a statement', () => plain().where('n.text IN (TABLE entries)')],
    [
      'a sample of a table',
      () =>
        plain().where("n.id IN (SELECT id FROM entries TABLESAMPLE SYSTEM (50) WHERE entries.text = 'a')"),
    ],
    [
      'a table with a hint',
      () => plain().where("n.id IN (SELECT id FROM entries INDEXED BY i WHERE entries.text = 'a')"),
    ],
    [
      'rows that are written down',
      () => plain().where('n.text IN (SELECT MAX(v.x) FROM entries x, LATERAL (VALUES (x.text)) v (x))'),
    ],
    ['an operator by its name', () => query().where("'a' OPERATOR(pg_catalog.=) text")],
    [
      'a common table expression that merges',
      () =>
        plain().addCommonTableExpression(
          'MERGE INTO plain_notes p USING entries x ON p.text = x.text WHEN MATCHED THEN DELETE RETURNING p.id',
          'merged',
        ),
    ],
  ])('%s', async (_, make) => {
    shop.recorder.clear();
    await expect((async () => make().getRawMany())()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
      message: expect.stringMatching(/^(Entry|Diary)\.\w+ is encrypted/u) as string,
    });
    expect(shop.recorder.of('SELECT')).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['the criteria of an update', () => query().update().set({ rank: 1 }).where('amount = 10').execute()],
    ['the criteria of a delete', () => query().delete().where('LENGTH(amount) = 0').execute()],
    [
      'a set',
      () =>
        query()
          .update()
          .set({ rank: () => 'LENGTH(amount)' })
          .where('id = 99')
          .execute(),
    ],
    [
      'a value of an insert',
      () =>
        plain()
          .insert()
          .values({ id: 9, text: () => '(SELECT MAX(text) FROM entries)' })
          .execute(),
    ],
    [
      'a sub-query in the criteria of a delete',
      () => plain().delete().where("id IN (SELECT e.id FROM entries e WHERE e.text = 'a')").execute(),
    ],
  ])('%s', async (_, run) => {
    await expect(run()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
  });
});

describe('behind the values of an INSERT', () => {
  const insert = () =>
    shop.dataSource
      .createQueryBuilder()
      .insert()
      .into(Entry)
      .values({ id: 20, at: new Date('2026-03-04T05:06:07Z'), text: 'new' });
  const refused = async (run: () => Promise<unknown>): Promise<void> => {
    shop.recorder.clear();
    await expect((async () => run())()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
      message: expect.stringMatching(/^Entry\.text is encrypted/u) as string,
    });
    expect(shop.recorder.of('INSERT')).toEqual([]);
  };
  /** Of TypeORM 0.3. */
  const onConflict = (text: string) =>
    (insert() as unknown as { onConflict(text: string): ReturnType<typeof insert> }).onConflict(text);
  afterEach(() => entries().delete({ id: 20 }));

  it('a condition of an upsert is read', async (context) => {
    needs(context, 'an upsert with a condition of its own');
    const upsert = (where: string, indexPredicate?: string) =>
      insert().orUpdate(['rank'], ['id'], {
        overwriteCondition: { where },
        ...(indexPredicate && { indexPredicate }),
      });
    await refused(() => upsert("entries.text <> 'new'").execute());
    await refused(() => upsert('entries.text IS DISTINCT FROM EXCLUDED.text').execute());
    await refused(() => upsert("text = 'new'").execute());
    await refused(() => upsert('entries.rank = 1', "text = 'a'").execute());
    await upsert('entries.rank = 1 AND entries.text IS NULL').execute();
    expect(await entries().findOneBy({ id: 20 })).toMatchObject({ text: 'new' });
  });

  it('the rest of an upsert as text is read', async (context) => {
    needs(context, 'the rest of an upsert as text');
    await refused(() => onConflict('(id) DO UPDATE SET rank = length(entries.text)').execute());
    await refused(() => onConflict('(id) DO UPDATE SET rank = length(EXCLUDED.text)').execute());
    await refused(() => onConflict("(id) DO UPDATE SET rank = 1 WHERE entries.text = 'a'").execute());
    await onConflict('(id) DO NOTHING').execute();
    await onConflict('(id) DO UPDATE SET rank = EXCLUDED.rank WHERE entries.text IS NOT NULL').execute();
    expect(await entries().findOneBy({ id: 20 })).toMatchObject({ text: 'new' });
  });

  it('text cannot write the field, nor what stands beside its cell', async (context) => {
    needs(context, 'the rest of an upsert as text');
    await refused(() => onConflict('(id) DO UPDATE SET text = :text').setParameter('text', 'a').execute());
    await refused(() => onConflict('(id) DO UPDATE SET "text" = EXCLUDED."text"').execute());
    await refused(() => onConflict('(id) DO UPDATE SET (rank, text_key) = (1, NULL)').execute());
  });

  it('parameters cannot write the field', async (context) => {
    needs(context, 'an upsert that sets parameters');
    const upsert = (columns: string[]) =>
      (insert() as unknown as { orUpdate(statement: object): ReturnType<typeof insert> })
        .orUpdate({ columns, conflict_target: ['id'] })
        .setParameters({ text: 'plain', rank: 7 });
    await refused(() => upsert(['text']).execute());
    await upsert(['rank']).execute();
    await upsert(['rank']).execute();
    expect(await entries().findOneBy({ id: 20 })).toMatchObject({ text: 'new', rank: 7 });
  });

  it('what it returns is read', async (context) => {
    needs(context, 'RETURNING');
    await refused(() => insert().returning('id, LENGTH(text)').execute());
    const result = await insert().returning('id, text').execute();
    expect(result.raw).toMatchObject([{ id: 20, text: expect.any(Buffer) as Buffer }]);
  });

  it('what an UPDATE returns is read', async (context) => {
    needs(context, 'RETURNING of an UPDATE');
    const update = query().update().set({ rank: 2 }).where('id = 1').returning('LENGTH(text)');
    await expect(update.execute()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    expect(await entries().findOneBy({ id: 1 })).toMatchObject({ rank: 1 });
  });

  it('what a DELETE returns is read', async (context) => {
    needs(context, 'RETURNING');
    const remove = query().delete().where('id = 1').returning('LENGTH(text)');
    await expect(remove.execute()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    expect(await entries().countBy({ id: 1 })).toBe(1);
  });
});

describe('INSERT … SELECT', () => {
  const inserted = (selection: string) => {
    const rows = query().select(['e.id + 100', selection]).where('e.id = 1');
    return shop.dataSource
      .createQueryBuilder()
      .insert()
      .into(PlainNote, ['id', 'text'])
      .valuesFromSelect(rows);
  };

  it('of a cell into a plain column is refused', async (context) => {
    needs(context, 'INSERT … SELECT by a query builder');
    await expect(inserted('e.text').execute()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
      message: expect.stringMatching(/^Entry\.text .*used in the value of another column/u) as string,
    });
  });

  it('of other columns beside cells is let through', async (context) => {
    needs(context, 'INSERT … SELECT by a query builder');
    await inserted("'copied'").execute();
    expect(await plain().where("text = 'copied'").getCount()).toBe(1);
    await plain().delete().where("text = 'copied'").execute();
  });
});

describe('are let through where they are right', () => {
  it.each<[string, () => Query, number]>([
    ['the cell itself', () => query().select('e.amount', 'a').addSelect('e.text'), 4],
    ['count of all', () => query().select('COUNT(*)', 'n'), 1],
    ['count of the rows with a value', () => query().select('COUNT(e.amount)', 'n'), 1],
    ['tests for NULL', () => query().where('e.amount IS NULL'), 1],
    [
      'tests for NULL in a CASE',
      () => query().select('CASE WHEN e.amount IS NOT NULL THEN 1 ELSE 0 END', 'n'),
      4,
    ],
    ['order by a test for NULL', () => query().orderBy('e.amount IS NULL'), 4],
    ['fingerprints', () => query().select('COUNT(*)', 'n').groupBy('e.amount_key'), -1],
    ['blind indexes', () => query().select('COUNT(*)', 'n').groupBy('e.amount_bidx'), 2],
    ['DISTINCT with the primary key', () => query().distinct(true), 4],
    ['DISTINCT over joins', () => query().leftJoinAndSelect('e.diary', 'd').distinct(true), 4],
    ['DISTINCT of other columns', () => query().select('e.rank').distinct(true), 1],
    [
      'the cell out of a sub-query',
      () =>
        shop.dataSource
          .createQueryBuilder()
          .select('s.a', 'b')
          .from((inner) => inner.select('e.amount', 'a').from(Entry, 'e'), 's') as never as Query,
      4,
    ],
    [
      'an alias that is the name of a field',
      () => query().select('COUNT(*)', 'text').addSelect('e.rank', 'year').groupBy('e.rank').orderBy('year'),
      1,
    ],
    ['the alias of a table', () => shop.dataSource.createQueryBuilder(Entry, 'text').where('text.id = 1'), 1],
    [
      'a column of the same name in another table',
      () => query().leftJoin('e.diary', 'd').where("d.text = 'plain'").orderBy('d.text'),
      4,
    ],
    [
      'a bare column of another table',
      () => query().where("EXISTS (SELECT 1 FROM plain_notes WHERE text = 'x')"),
      4,
    ],
    ['literals', () => query().where("'text' <> 'e.text' AND e.rank = 1"), 4],
    ['literals with quotes', () => query().where("'it''s e.text = 1' <> ''"), 4],
    ['comments', () => query().where('e.rank = 1 /* AND e.text = 1 */'), 4],
    ['parameters', () => query().where('e.rank = :text', { text: 1 }), 4],
    ['a function', () => query().where('DATE(e.at) IS NOT NULL'), 4],
    ['EXISTS', () => plain().where('EXISTS (SELECT e.text FROM entries e WHERE e.id = n.id)'), 1],
  ])('%s', async (_, make, rows) => {
    const found = await make().getRawMany();
    if (rows >= 0) expect(found).toHaveLength(rows);
  });

  it.each(OF_THIS_DATABASE)('%s', async (_, make) => {
    expect(await make(query()).getRawMany()).toHaveLength(4);
  });

  it('a value of an insert that is selected elsewhere', async () => {
    const text = () => '(SELECT MAX(d.text) FROM diaries d)';
    await plain().insert().values({ id: 7, text }).execute();
    expect(await plain().where({ id: 7 }).getOne()).toMatchObject({ text: 'plain' });
    await plain().delete().where({ id: 7 }).execute();
  });

  it('a plain column that is named as the property of a field is', async () => {
    const repository = shop.dataSource.getRepository(Halfway);
    await repository.save({ id: 1, email: 'ada@example.com', plainEmail: 'ada@example.com' });
    const plainEmail = 'ada@example.com';
    expect(await repository.findBy({ plainEmail })).toMatchObject([{ id: 1, email: plainEmail }]);
    expect(await repository.find({ order: { plainEmail: 'ASC' } })).toHaveLength(1);
    const builder = (): SelectQueryBuilder<Halfway> => repository.createQueryBuilder('h');
    expect(await builder().where('h.plainEmail = :plainEmail', { plainEmail }).getCount()).toBe(1);
    expect(await builder().select('h.plainEmail').distinct(true).getRawMany()).toHaveLength(1);
    await repository.update({ plainEmail }, { plainEmail: 'eve@example.com' });
    expect(await repository.findOneBy({ email: plainEmail })).toMatchObject({
      plainEmail: 'eve@example.com',
    });
    await expect(builder().where('h.email = :plainEmail', { plainEmail }).getCount()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
    });
    await expect(builder().orderBy('LOWER(h_plainEmail)').getMany()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
    });
  });

  it('a group by the primary key with a cell beside it', async () => {
    const grouped = query()
      .select('e.id')
      .addSelect('e.text')
      .addSelect('COUNT(*)', 'n')
      .groupBy('e.id')
      .addGroupBy('e.text');
    expect(await grouped.getRawMany()).toHaveLength(4);
  });

  it('pages over joins, counts and existence', async () => {
    const diaries = shop.dataSource.getRepository(Diary);
    const page = { relations: { entries: true }, order: { id: 'DESC' }, take: 1 } as const;
    expect(await diaries.find(page)).toMatchObject([{ title: 'second', entries: [{}, {}] }]);
    expect(await diaries.findAndCount(page)).toMatchObject([[{ id: 2 }], 2]);
    expect(await diaries.findAndCount({ ...page, select: { id: true, title: true } })).toMatchObject([
      [{ id: 2 }],
      2,
    ]);
    expect(await diaries.findOneBy({ id: 1 })).toMatchObject({ entries: [{ amount: 10 }, { amount: 10 }] });
    expect(await entries().count({ where: { diary: { id: 1 } }, relations: { diary: true } })).toBe(2);
    expect(await entries().existsBy({ amount: 10 })).toBe(true);
    expect(await query().leftJoin('e.diary', 'd').getCount()).toBe(4);
  });
});

describe('without the reading of texts', () => {
  let unread: Shop;

  beforeAll(async () => {
    unread = await openShop({
      beside: shop,
      entities: [Entry, Diary, Sorted],
      attach: { checkRawWhere: false },
    });
  });
  afterAll(() => unread.close());

  it('leaves texts alone', async () => {
    const raw = unread.dataSource
      .createQueryBuilder(Entry, 'e')
      .select('COUNT(DISTINCT e.text)', 'n')
      .getRawMany();
    expect(await raw).toHaveLength(1);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['sum', () => unread.dataSource.getRepository(Entry).sum('amount')],
    ['the order of an entity', () => unread.dataSource.getRepository(Sorted).find()],
    ['order of find', () => unread.dataSource.getRepository(Entry).find({ order: { amount: 'ASC' } })],
    ['group by', () => unread.dataSource.createQueryBuilder(Entry, 'e').groupBy('e.amount').getRawMany()],
  ])('still refuses %s', async (_, run) => {
    await expect(run()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
  });
});
