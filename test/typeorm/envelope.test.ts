/** Envelope delivery through the ORM: a data source that writes and one that reads, over the same entities. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import {
  And,
  BeforeInsert,
  Column,
  DataSource,
  Entity,
  Equal,
  In,
  IsNull,
  Not,
  Or,
  PrimaryColumn,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseCell } from '../../src/cell/format.js';
import { attachFieldSeal, Encrypted, fillBlindIndexes, isSealed } from '../../src/typeorm/index.js';
import { asBuffer } from './databases.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('payers')
class Payer {
  @PrimaryColumn('varchar') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', blindIndex: { unique: true, later: true }, bind: ['id'] })
  pan!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true }) name!: string | null;
  @Encrypted({ purpose: 'personal-data', nullable: true }) phone!: string | null;
}

@Entity('late_payers')
class LatePayer {
  @PrimaryColumn('varchar') id: string = randomUUID();
  @Encrypted({ purpose: 'personal-data', nullable: true }) name!: string | null;

  @BeforeInsert()
  fill(): void {
    this.name = `Late ${this.id}`;
  }
}

const ENTITIES = [Payer, LatePayer];
const PURPOSES = {
  'card-number': { delivery: 'envelope', index: 'later' },
  'personal-data': { delivery: 'envelope' },
} as const;

let shop: Shop;
let web: DataSource;
let next = 4_000_000_000_000_000;
const newPan = (): string => String((next += 1));
const newPayer = (more: Partial<Payer> = {}): Payer =>
  Object.assign(new Payer(), { pan: newPan(), name: 'Ada', phone: '+44 20 1815', ...more });

beforeAll(async () => {
  shop = await openShop({ entities: ENTITIES, purposes: PURPOSES });
  web = await attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), shop.seal.writeOnly()).initialize();
});
afterEach(() => {
  shop.kms.faults.clear();
});
afterAll(async () => {
  await web.destroy();
  await shop.close();
});

const payers = () => shop.dataSource.getRepository(Payer);
const found = (id: string): Promise<Payer> => payers().findOneByOrFail({ id });
const calls = (operation: string): number => shop.seal.stats().kmsCalls[operation] ?? 0;
const keysOf = async (id: string): Promise<unknown[]> => {
  const row = await shop.raw('payers', id);
  return [row.pan_key, row.name_key, row.phone_key];
};

describe('rows under data keys of their own', () => {
  it('are saved and read, the fields of a row and purpose under one key', async () => {
    const before = calls('GenerateDataKey');
    const saved = await payers().save([newPayer(), newPayer()]);
    expect(calls('GenerateDataKey') - before).toBe(4);
    const [pan, name, phone] = await keysOf(saved[0]!.id);
    expect(name).toBe(phone);
    expect(new Set([pan, name, ...(await keysOf(saved[1]!.id))])).toHaveLength(4);
    expect(await found(saved[0]!.id)).toEqual(saved[0]);
    const row = await shop.raw('payers', saved[0]!.id);
    expect(parseCell(asBuffer(row.pan) as Buffer).header.delivery).toBe('envelope');
  });

  it('are inserted, updated and upserted by query builders', async () => {
    const payer = newPayer();
    await payers().insert(payer);
    await payers().update({ id: payer.id }, { name: 'Grace' });
    expect((await found(payer.id)).name).toBe('Grace');
    const pan = newPan();
    await payers().upsert(Object.assign(payer, { pan }), ['id']);
    expect(await found(payer.id)).toMatchObject({ pan, name: 'Ada' });
  });

  it('cost no call where nothing changed or nothing is set', async () => {
    const payer = await payers().save(newPayer());
    const loaded = await found(payer.id);
    const before = calls('GenerateDataKey');
    await payers().save(loaded);
    await payers().update({ id: payer.id }, { note: 'seen' });
    await payers().update({ id: payer.id }, { name: null });
    expect(calls('GenerateDataKey')).toBe(before);
    expect((await shop.raw('payers', payer.id)).name_key).toBeNull();
  });

  it('hold what a listener has set while the statement was under way', async () => {
    const payer = new LatePayer();
    await shop.dataSource.manager.insert(LatePayer, payer);
    const other = await shop.dataSource.manager.save(new LatePayer());
    for (const { id } of [payer, other])
      expect((await shop.dataSource.manager.findOneByOrFail(LatePayer, { id })).name).toBe(`Late ${id}`);
  });

  it('are written by nobody while the KMS is down, and nothing is written half', async () => {
    shop.kms.faults.inject('GenerateDataKey', 'denied');
    const payer = newPayer();
    await expect(payers().save(payer)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_KMS/u) as unknown,
    });
    expect(await payers().findBy({ id: payer.id })).toEqual([]);
  });

  it('show no SQL before they are prepared', () => {
    const insert = payers().createQueryBuilder().insert().values(newPayer());
    expect(() => insert.getQuery()).toThrow(expect.objectContaining({ code: 'ERR_SEAL_NOT_PREPARED' }));
  });
});

describe('a data source that only writes beside one that reads', () => {
  it('writes rows that the other opens, and reads them sealed', async () => {
    const payer = await web.manager.save(newPayer());
    const mine = await web.manager.findOneByOrFail(Payer, { id: payer.id });
    expect([mine.pan, mine.name].every(isSealed)).toBe(true);
    expect((await found(payer.id)).pan).toBe(payer.pan);
    expect((await shop.raw('payers', payer.id)).pan_bidx).toBeNull();
  });

  it('finds nothing by an encrypted field', async () => {
    await expect(web.manager.findOneBy(Payer, { pan: newPan() })).rejects.toMatchObject({
      code: 'ERR_QUERY_NO_BLIND_INDEX',
    });
  });
});

describe('indexes that are made later', () => {
  it('are made by a job, once, for every row that lacks one', async () => {
    const written = await web.manager.save(Array.from({ length: 7 }, () => newPayer()));
    expect(await payers().findOneBy({ pan: written[0]!.pan })).toBeNull();
    const { filled } = await fillBlindIndexes(shop.dataSource, shop.seal, { rows: 3 });
    expect(filled).toBeGreaterThanOrEqual(7);
    for (const { id, pan } of written) expect((await payers().findOneBy({ pan }))?.id).toBe(id);
    expect(await fillBlindIndexes(shop.dataSource, shop.seal)).toEqual({
      filled: 0,
      unopenable: 0,
      duplicates: 0,
    });
  });

  it('are as a process writes them that reads and writes', async () => {
    const pan = newPan();
    const first = await payers().save(newPayer({ pan }));
    const { pan_bidx: index } = await shop.raw('payers', first.id);
    await payers().delete({ id: first.id });
    const second = await web.manager.save(newPayer({ pan }));
    await fillBlindIndexes(shop.dataSource, shop.seal);
    expect((await shop.raw('payers', second.id)).pan_bidx).toEqual(index);
  });

  it('are left out for a second row with the same value, and for cells that do not open', async () => {
    const [one, two, broken] = [newPayer(), newPayer(), newPayer()];
    two.pan = one.pan;
    await web.manager.save([one, two, broken]);
    const { pan } = await shop.raw('payers', broken.id);
    const cell = Buffer.from(asBuffer(pan) as Buffer);
    cell[cell.length - 1]! ^= 1;
    await shop.tamper('payers', broken.id, { pan: cell });
    expect(await fillBlindIndexes(shop.dataSource, shop.seal, { rows: 1 })).toEqual({
      ...{ filled: 1, unopenable: 1, duplicates: 1 },
    });
    await payers().delete([one.id, two.id, broken.id]);
  });

  it('are no stand-in for the value in And and Or', async () => {
    for (const operator of [Or(Equal('x'), IsNull()), And(Not(Equal('x')), IsNull())])
      await expect(payers().findBy({ pan: operator })).rejects.toMatchObject({
        code: 'ERR_QUERY_UNSUPPORTED',
      });
    expect(await payers().findBy({ pan: IsNull() })).toEqual([]);
  });

  it('answer no search that would miss rows which have none yet', async () => {
    await web.manager.save(newPayer());
    const refused = { code: 'ERR_QUERY_UNSUPPORTED' };
    for (const operator of [
      Not('x'),
      Not(Equal('x')),
      Not(In(['x', 'y'])),
      And(Not('x'), Not('y')),
      Or(Not('x')),
    ])
      await expect(payers().findBy({ pan: operator })).rejects.toMatchObject(refused);
    await expect(payers().update({ pan: Not('x') }, { note: 'x' })).rejects.toMatchObject(refused);
    await expect(payers().upsert(newPayer(), ['pan'])).rejects.toMatchObject(refused);
    expect((await payers().findBy({ pan: Not(IsNull()) })).length).toBeGreaterThan(0);
  });

  it('are made by a field seal that reads, and the one that is attached', async () => {
    const work = (dataSource: DataSource, seal = shop.seal) => fillBlindIndexes(dataSource, seal);
    await expect(work(web)).rejects.toMatchObject({ code: 'ERR_CONFIG_ORM' });
    const view = shop.seal.writeOnly();
    const writer = await attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), view).initialize();
    await expect(work(writer, view)).rejects.toMatchObject({ code: 'ERR_OPEN_WRITE_ONLY' });
    await writer.destroy();
    await expect(fillBlindIndexes(shop.dataSource, shop.seal, { rows: 0 })).rejects.toMatchObject({
      code: 'ERR_CONFIG_OPTION',
    });
  });
});
