/** Blind indexes that the KMS makes, on their way into statements: made when one is sent, and never sent unmade. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import {
  BeforeInsert,
  Column,
  DataSource,
  Entity,
  In,
  ManyToOne,
  Not,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted, fillBlindIndexes, isSealed } from '../../src/typeorm/index.js';
import { newMacKey } from '../kms/mac-key.js';
import { asBuffer, dialect } from './databases.js';
import { needs } from './limits.js';
import { dataSourceOf, KMS_INDEXES, openShop, type Shop } from './shop.js';

@Entity('debtors')
class Debtor {
  @PrimaryColumn('varchar') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', blindIndex: { unique: true }, bind: ['id'] }) pan!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true, blindIndex: true }) name!: string | null;
  @OneToMany('Debt', 'debtor') debts?: Relation<Debt[]>;
}

@Entity('debts')
class Debt {
  @PrimaryColumn('varchar') id!: string;
  @Column('int') cents!: number;
  @ManyToOne(() => Debtor, (debtor) => debtor.debts) debtor!: Relation<Debtor>;
}

@Entity('late_debtors')
class LateDebtor {
  @PrimaryColumn('varchar') id: string = randomUUID();
  @Encrypted({ purpose: 'personal-data', nullable: true, blindIndex: true }) name!: string | null;

  @BeforeInsert()
  fill(): void {
    this.name = `Late ${this.id}`;
  }
}

/** Indexed by a key of the key store first, by the KMS afterwards. */
@Entity('formers')
class Former {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data', blindIndex: { later: true } }) mail!: string;
}

const ENTITIES = [Debtor, Debt, LateDebtor];
const MINUTE_MS = 60_000;

let shop: Shop;
/** Only writes. */
let web: DataSource;
let next = 4_000_000_000_000_000;
const newPan = (): string => String((next += 1));
const newDebtor = (more: Partial<Debtor> = {}): Debtor =>
  Object.assign(new Debtor(), { pan: newPan(), name: 'Ada', ...more });

beforeAll(async () => {
  shop = await openShop({
    entities: ENTITIES,
    kmsOptions: KMS_INDEXES.kmsOptions!,
    purposes: {
      'card-number': { delivery: 'envelope', index: 'kms' },
      'personal-data': { delivery: 'envelope', index: 'kms' },
    },
    options: { cache: { type: 'database', tableName: 'query_cache' } },
  });
  web = await attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), shop.seal.writeOnly()).initialize();
});
beforeEach(() => {
  shop.recorder.clear();
});
afterEach(() => {
  shop.kms.faults.clear();
});
afterAll(async () => {
  await web.destroy();
  await shop.close();
});

const debtors = () => shop.dataSource.getRepository(Debtor);
const saved = (more: Partial<Debtor> = {}): Promise<Debtor> => debtors().save(newDebtor(more));
const indexOf = async (id: string): Promise<Buffer> =>
  Buffer.from(asBuffer((await shop.raw('debtors', id)).pan_bidx) as Buffer);

/** GenerateMac calls of this work. */
async function macsOf<T>(work: () => Promise<T>): Promise<[result: T, calls: number]> {
  const made = () => shop.seal.stats().kmsCalls.GenerateMac ?? 0;
  const before = made();
  const result = await work();
  return [result, made() - before];
}

describe('an index that the KMS makes', () => {
  it('is stored beside its cell, 16 bytes, one call for each value', async () => {
    const [rows, calls] = await macsOf(() => debtors().save([newDebtor(), newDebtor({ name: null })]));
    expect(calls).toBe(3);
    expect(await indexOf(rows[0]!.id)).toHaveLength(16);
    expect(await indexOf(rows[1]!.id)).not.toEqual(await indexOf(rows[0]!.id));
    expect((await shop.raw('debtors', rows[1]!.id)).name_bidx).toBeNull();
  });

  it('finds its row by one call, updates and deletes by another', async () => {
    const debtor = await saved();
    const [found, searched] = await macsOf(() => debtors().findOneByOrFail({ pan: debtor.pan }));
    expect(found).toEqual(debtor);
    expect(searched).toBe(1);
    const pan = newPan();
    const [, updated] = await macsOf(() => debtors().update({ pan: debtor.pan, id: debtor.id }, { pan }));
    expect(updated).toBe(2);
    expect(await debtors().findOneBy({ pan: debtor.pan })).toBeNull();
    expect((await debtors().findOneByOrFail({ pan })).id).toBe(debtor.id);
    await debtors().delete({ pan });
    expect(await debtors().existsBy({ id: debtor.id })).toBe(false);
  });

  it('is made neither for a save that changes nothing nor for SQL that nobody sends', async () => {
    const debtor = await saved();
    const query = debtors().createQueryBuilder('d').where({ pan: debtor.pan });
    const [, calls] = await macsOf(async () => {
      await debtors().save(await debtors().findOneByOrFail({ id: debtor.id }));
      await debtors().update({ id: debtor.id }, { note: 'seen' });
      query.getQueryAndParameters();
    });
    expect(calls).toBe(0);
    const [sql, parameters] = query.getQueryAndParameters();
    expect(inspect(parameters)).not.toContain(debtor.pan);
    expect(await shop.dataSource.query(sql, parameters)).toHaveLength(1);
  });

  it('keeps values unique, by inserts and by upserts', async () => {
    const debtor = await saved();
    await expect(debtors().insert(newDebtor({ pan: debtor.pan }))).rejects.toThrow(dialect.unique);
    await debtors().upsert(Object.assign(debtor, { note: 'upserted' }), ['pan']);
    expect((await debtors().findBy({ pan: debtor.pan })).map(({ note }) => note)).toEqual(['upserted']);
  });

  it('is that of a value which a listener set while the statement was under way', async () => {
    const late = new LateDebtor();
    await shop.dataSource.manager.insert(LateDebtor, late);
    const found = await shop.dataSource.manager.findOneBy(LateDebtor, { name: `Late ${late.id}` });
    expect(found).toMatchObject({ id: late.id });
  });

  it('is made within transactions, on their connection', async () => {
    const [kept, lost] = [newDebtor(), newDebtor()];
    await shop.dataSource.transaction(async (manager) => {
      await manager.save(kept);
      expect(await manager.findOneBy(Debtor, { pan: kept.pan })).toMatchObject({ id: kept.id });
    });
    const failing = shop.dataSource.transaction(async (manager) => {
      await manager.save(lost);
      throw new Error('not this one');
    });
    await expect(failing).rejects.toThrow('not this one');
    expect(await debtors().countBy({ pan: In([kept.pan, lost.pan]) })).toBe(1);
  });

  it('finds the rows of a stream', async (context) => {
    needs(context, 'streams');
    const debtor = await saved();
    const stream = await debtors().createQueryBuilder('d').where({ pan: debtor.pan }).stream();
    const ids: unknown[] = [];
    for await (const row of stream) ids.push((row as { d_id: unknown }).d_id);
    expect(ids).toEqual([debtor.id]);
  });

  it('stands in the key of the query result cache, so that no value gets the rows of another', async () => {
    const [one, other] = [await saved(), await saved()];
    const find = (pan: string) => debtors().find({ where: { pan }, cache: MINUTE_MS });
    const ids = async (pan: string): Promise<string[]> => (await find(pan)).map(({ id }) => id);
    expect([await ids(one.pan), await ids(other.pan)]).toEqual([[one.id], [other.id]]);
    shop.recorder.clear();
    expect((await find(one.pan))[0]).toMatchObject({ id: one.id, pan: one.pan, name: 'Ada' });
    expect(shop.recorder.of('SELECT').filter((sql) => /["`]debtors["`]/u.test(sql))).toEqual([]);
  });

  it('stands there too where a page over joins is looked up first', async () => {
    const debtor = await saved();
    await shop.dataSource.manager.insert(Debt, { id: randomUUID(), cents: 5, debtor });
    const find = () =>
      debtors().find({ where: { pan: debtor.pan }, relations: { debts: true }, take: 5, cache: MINUTE_MS });
    expect((await find())[0]).toMatchObject({ id: debtor.id, pan: debtor.pan, debts: [{ cents: 5 }] });
    shop.recorder.clear();
    expect((await find())[0]).toMatchObject({ id: debtor.id, debts: [{ cents: 5 }] });
    expect(shop.recorder.of('SELECT').filter((sql) => /["`]debtors["`]/u.test(sql))).toEqual([]);
  });

  it('is searched under every version of the policy', async () => {
    const debtor = await saved();
    const both = await openShop({
      beside: shop,
      entities: ENTITIES,
      kmsOptions: async (kms) => ({
        macKeys: {
          'card-number': { 1: await newMacKey(kms), 2: await newMacKey(kms) },
          'personal-data': await newMacKey(kms),
        },
      }),
      purposes: {
        'card-number': { delivery: 'envelope', index: { source: 'kms', versions: [2, 1] } },
        'personal-data': { delivery: 'envelope', index: 'kms' },
      },
    });
    try {
      // Other MAC keys, so it finds nothing, with two calls.
      const calls = () => both.seal.stats().kmsCalls.GenerateMac ?? 0;
      const before = calls();
      expect(await both.dataSource.manager.findBy(Debtor, { pan: debtor.pan })).toEqual([]);
      expect(calls() - before).toBe(2);
    } finally {
      await both.close();
    }
  });
});

describe('while the KMS makes no index', () => {
  it.each([
    ['denied', 'ERR_KMS_DENIED'],
    ['wrong-key', 'ERR_KMS_RESPONSE'],
  ] as const)('(%s) nothing is written, found or shown', async (fault, code) => {
    const debtor = await saved();
    shop.kms.faults.inject('GenerateMac', fault);
    const lost = newDebtor();
    const work = [
      () => debtors().save(lost),
      () => debtors().findOneBy({ pan: debtor.pan }),
      () => debtors().countBy({ pan: Not(debtor.pan) }),
      () => debtors().update({ pan: debtor.pan }, { note: 'lost' }),
      () => debtors().delete({ pan: debtor.pan }),
      () => debtors().find({ where: { pan: debtor.pan }, cache: MINUTE_MS }),
    ];
    for (const one of work) {
      const error: unknown = await one().then(
        () => 'nothing',
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ name: 'KmsError', code });
      expect(inspect(error, { depth: 9 })).not.toMatch(new RegExp(`${debtor.pan}|${lost.pan}`, 'u'));
    }
    shop.kms.faults.clear();
    expect(await debtors().findOneBy({ id: lost.id })).toBeNull();
    expect(await debtors().findOneBy({ id: debtor.id })).toMatchObject({ note: null });
  });

  it('it is not asked for the rest of a statement that has failed', async () => {
    shop.kms.faults.inject('GenerateMac', 'denied');
    const rows = Array.from({ length: 40 }, () => newDebtor());
    const insert = () =>
      debtors()
        .insert(rows)
        .catch((error: unknown) => error);
    const [failure, calls] = await macsOf(insert);
    expect(failure).toMatchObject({ code: 'ERR_KMS_DENIED' });
    expect(calls).toBe(8);
    expect(await debtors().countBy({ id: In(rows.map(({ id }) => id)) })).toBe(0);
  });

  it('a statement that is sent again has it made again', async () => {
    const debtor = await saved();
    const query = debtors().createQueryBuilder('d').where({ pan: debtor.pan });
    shop.kms.faults.inject('GenerateMac', 'denied', { times: 1 });
    await expect(query.getMany()).rejects.toMatchObject({ code: 'ERR_KMS_DENIED' });
    expect(await query.getMany()).toHaveLength(1);
  });
});

describe('a data source that only writes', () => {
  it('has indexes made, keeps values unique and finds rows, which stay sealed', async () => {
    const debtor = await web.manager.save(newDebtor());
    await expect(web.manager.insert(Debtor, newDebtor({ pan: debtor.pan }))).rejects.toThrow(dialect.unique);
    const mine = await web.manager.findOneByOrFail(Debtor, { pan: debtor.pan });
    expect([mine.id, isSealed(mine.pan)]).toEqual([debtor.id, true]);
    expect(await debtors().findOneByOrFail({ pan: debtor.pan })).toMatchObject({ pan: debtor.pan });
  });
});

it('indexes of another maker find nothing; they are made anew where they were set to NULL', async () => {
  const former = await openShop({
    beside: shop,
    entities: [Former],
    purposes: { 'personal-data': { index: 'later' } },
  });
  const now = await openShop({
    beside: shop,
    entities: [Former],
    kmsOptions: KMS_INDEXES.kmsOptions!,
    purposes: { 'personal-data': { index: 'kms' } },
  });
  await former.dataSource.synchronize();
  await former.dataSource.manager.insert(Former, Object.assign(new Former(), { id: 1, mail: 'ada@x.org' }));
  const find = () => now.dataSource.manager.countBy(Former, { mail: 'ada@x.org' });
  expect(await find()).toBe(0);
  expect(await fillBlindIndexes(now.dataSource, now.seal)).toMatchObject({ filled: 0 });
  await shop.database.query('UPDATE formers SET mail_bidx = NULL');
  expect(await fillBlindIndexes(now.dataSource, now.seal)).toMatchObject({ filled: 1 });
  expect(await find()).toBe(1);
  await now.close();
  await former.close();
});

it('a row with the index of another one is refused where it was searched', async () => {
  const [one, other] = [await saved(), await saved({ name: 'Grace' })];
  await shop.tamper('debtors', one.id, { pan_bidx: randomIndex() });
  await shop.tamper('debtors', other.id, { pan_bidx: await indexOfValue(one.pan) });
  await expect(debtors().findBy({ pan: one.pan })).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
});

it('a row that came into the result another way is not asked for', async () => {
  const [one, other] = [await saved(), await saved()];
  await shop.tamper('debtors', other.id, { pan_bidx: randomIndex() });
  const [found, calls] = await macsOf(() => debtors().findBy([{ id: other.id }, { pan: one.pan }]));
  expect(found.map(({ id }) => id).sort()).toEqual([one.id, other.id].sort());
  expect(calls).toBe(1);
});

const randomIndex = (): Buffer => Buffer.from(randomUUID().replaceAll('-', ''), 'hex');

/** As the field seal makes it: stored once, and taken away. */
async function indexOfValue(pan: string): Promise<Buffer> {
  const { id } = await saved({ pan });
  const index = await indexOf(id);
  await debtors().delete({ id });
  return index;
}
