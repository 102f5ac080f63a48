/** Behaviour row 5: every way to write that is not `save`. */
import { randomUUID } from 'node:crypto';
import { SelectQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { isCellHiding, openShop, reload, type Shop } from './shop.js';

let shop: Shop;
let nextPan = 4_000_000_000_000_000;
const newPan = (): string => String(++nextPan);

beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());
beforeEach(() => shop.recorder.clear());

const manager = () => shop.dataSource.manager;

async function expectSealed(id: string, pan: string): Promise<void> {
  const row = await shop.raw('cards', id);
  expect(isCellHiding(row.pan, pan)).toBe(true);
  expect((row.pan as Buffer).subarray(2, 18).toString('hex')).toBe(String(row.pan_key).replaceAll('-', ''));
  expect(row.pan_bidx).toEqual(shop.seal.searchIndexes(panColumn(), pan)[0]);
  expect((await reload(shop, Card, id)).pan).toBe(pan);
}

const panColumn = () =>
  shop.seal.column({
    purpose: 'card-number',
    entity: 'cards',
    field: 'pan',
    codec: 'string',
    bound: true,
    blindIndex: {},
  });

describe('5 insert', () => {
  it('seals plain objects, one and many', async () => {
    const cards = [
      { id: randomUUID(), pan: newPan() },
      { id: randomUUID(), pan: newPan() },
    ];
    await manager().insert(Card, cards[0]!);
    await manager().insert(Card, cards.slice(1));
    for (const { id, pan } of cards) await expectSealed(id, pan);
  });

  it('does not change the objects that it was given', async () => {
    const card = Object.freeze({ id: randomUUID(), pan: newPan() });
    await shop.dataSource.createQueryBuilder().insert().into(Card).values(card).updateEntity(false).execute();
    expect(Object.keys(card)).toEqual(['id', 'pan']);
    await expectSealed(card.id, card.pan);
  });

  it('seals without listeners', async () => {
    const card = Object.assign(new Card(), { pan: newPan() });
    await manager().save(card, { listeners: false });
    await expectSealed(card.id, card.pan);
    const id = randomUUID();
    const pan = newPan();
    await shop.dataSource
      .createQueryBuilder()
      .insert()
      .into(Card)
      .values({ id, pan })
      .callListeners(false)
      .execute();
    await expectSealed(id, pan);
  });

  it('seals from the query builder of another entity, a transaction and a query runner', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    const pans = [newPan(), newPan(), newPan()];
    await shop.dataSource
      .getRepository(Customer)
      .createQueryBuilder()
      .insert()
      .into(Card)
      .values({ id: ids[0]!, pan: pans[0]! })
      .execute();
    await shop.dataSource.transaction((inside) => inside.insert(Card, { id: ids[1]!, pan: pans[1]! }));
    const runner = shop.dataSource.createQueryRunner();
    await runner.manager
      .createQueryBuilder()
      .insert()
      .into('Card')
      .values({ id: ids[2]!, pan: pans[2]! })
      .execute();
    await runner.release();
    for (const [i, id] of ids.entries()) await expectSealed(id, pans[i]!);
  });

  it('adds the siblings to a list of columns', async () => {
    const card = { id: randomUUID(), pan: newPan() };
    await shop.dataSource.createQueryBuilder().insert().into(Card, ['id', 'pan']).values(card).execute();
    await expectSealed(card.id, card.pan);
  });

  it('keeps plaintext on the object with RETURNING *', async (context) => {
    needs(context, 'RETURNING');
    const card = { id: randomUUID(), pan: newPan() };
    const values = { ...card };
    const result = await shop.dataSource
      .createQueryBuilder()
      .insert()
      .into(Card)
      .values(values)
      .returning('*')
      .execute();
    expect(values.pan).toBe(card.pan);
    expect(result.generatedMaps[0]?.pan).toBeUndefined();
    await expectSealed(card.id, card.pan);
  });

  it.each(['public.cards', '"public"."cards"', '`cards`'])(
    'refuses the table by its name %s, where no entity would seal',
    async (table) => {
      const values = { id: randomUUID(), pan: newPan() };
      const insert = shop.dataSource.createQueryBuilder().insert().into(table).values(values);
      await expect(insert.execute()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
      const update = shop.dataSource
        .createQueryBuilder()
        .update(table)
        .set({ pan: values.pan })
        .where('id = id');
      await expect(update.execute()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
      expect([...shop.recorder.of('INSERT'), ...shop.recorder.of('UPDATE')]).toEqual([]);
    },
  );

  it('refuses a bound field whose row is unknown', async () => {
    const insert = manager().insert(Card, { id: () => 'gen_random_uuid()', pan: newPan() });
    await expect(insert).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
  });
});

describe('5 update', () => {
  it('seals by criteria, by id and by query builder', async () => {
    const { id } = await manager().save(Object.assign(new Card(), { pan: newPan() }));
    const pans = [newPan(), newPan(), newPan()];
    await manager().update(Card, { id }, { pan: pans[0]! });
    await expectSealed(id, pans[0]!);
    await manager().update(Card, id, { pan: pans[1]! });
    await expectSealed(id, pans[1]!);
    await shop.dataSource.createQueryBuilder().update(Card).set({ pan: pans[2]! }).where({ id }).execute();
    await expectSealed(id, pans[2]!);
  });

  it('finds its rows by an encrypted field', async () => {
    const card = await manager().save(Object.assign(new Card(), { pan: newPan() }));
    const { affected } = await manager().update(Card, { pan: card.pan }, { note: 'found' });
    expect(affected).toBe(1);
    expect((await reload(shop, Card, card.id)).note).toBe('found');
  });

  it('refuses to seal a bound field for alternatives of rows', async () => {
    const [one, two] = await manager().save([
      Object.assign(new Card(), { pan: newPan() }),
      Object.assign(new Card(), { pan: newPan() }),
    ]);
    const update = () => shop.dataSource.createQueryBuilder().update(Card).set({ pan: newPan() });
    const ambiguous = [
      update().where({ id: one!.id }).orWhere({ id: two!.id }),
      update().whereEntity([one!, two!]),
      update().whereEntity(one!).orWhere({ id: two!.id }),
    ];
    for (const statement of ambiguous) {
      await expect(statement.execute()).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
    }
    await update().whereEntity(one!).execute();
    expect((await reload(shop, Card, two!.id)).pan).toBe(two!.pan);
  });

  it('refuses to change a bound value alone', async () => {
    const { id } = await manager().save(Object.assign(new Card(), { pan: newPan() }));
    await expect(manager().update(Card, { id }, { id: randomUUID() })).rejects.toMatchObject({
      code: 'ERR_SEAL_BINDING',
    });
  });
});

describe('5 upsert', () => {
  it('overwrites the siblings together with the cell', async () => {
    const id = randomUUID();
    const pans = [newPan(), newPan()];
    await manager().upsert(Card, { id, pan: pans[0]! }, ['id']);
    await expectSealed(id, pans[0]!);
    await manager().upsert(Card, { id, pan: pans[1]! }, ['id']);
    await expectSealed(id, pans[1]!);
  });

  it('finds its row by an encrypted field that is unique', async () => {
    const card = { id: randomUUID(), pan: newPan() };
    await manager().upsert(Card, card, ['pan']);
    await manager().upsert(Card, { ...card, note: 'again' }, ['pan']);
    await expectSealed(card.id, card.pan);
    expect((await reload(shop, Card, card.id)).note).toBe('again');
  });

  it('does so with orUpdate', async (context) => {
    needs(context, 'an upsert by the key that it names');
    const id = randomUUID();
    for (const pan of [newPan(), newPan()]) {
      await shop.dataSource
        .createQueryBuilder()
        .insert()
        .into(Card)
        .values({ id, pan })
        .orUpdate(['pan'], ['id'])
        .execute();
      await expectSealed(id, pan);
    }
  });

  it('writes nothing over an existing row with orIgnore', async () => {
    const id = randomUUID();
    const pan = newPan();
    for (const value of [pan, newPan()]) {
      await shop.dataSource
        .createQueryBuilder()
        .insert()
        .into(Card)
        .values({ id, pan: value })
        .orIgnore()
        .execute();
    }
    await expectSealed(id, pan);
  });

  it('refuses to overwrite a bound value without its cell, and the cell without it', async () => {
    const { id } = await manager().save(Object.assign(new Card(), { pan: newPan() }));
    const insert = () =>
      shop.dataSource.createQueryBuilder().insert().into(Card).values({ id: randomUUID(), pan: newPan() });
    for (const overwrite of [['id'], ['pan']]) {
      const upsert = insert().orUpdate(overwrite, ['customer_id']);
      await expect(upsert.execute()).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
    }
    expect((await reload(shop, Card, id)).id).toBe(id);
  });

  it('refuses to overwrite a sibling alone', async () => {
    const insert = shop.dataSource
      .createQueryBuilder()
      .insert()
      .into(Card)
      .values({ id: randomUUID(), pan: newPan() });
    await expect(insert.orUpdate(['pan_key'], ['id']).execute()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
    });
  });
});

describe('5 never plaintext', () => {
  it('refuses an SQL expression as a value', async () => {
    const { id } = await manager().save(Object.assign(new Card(), { pan: newPan() }));
    const writes = [
      () => manager().insert(Card, { id: randomUUID(), pan: () => "'4111111111111111'" }),
      () => manager().update(Card, { id }, { pan: () => "'4111111111111111'" }),
      () => manager().increment(Card, { id }, 'pan', 1),
    ];
    for (const write of writes)
      await expect(write()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
  });

  it('refuses a value of another type', async () => {
    for (const pan of [Buffer.from('4111111111111111'), 4111111111111111, { number: 4 }, true]) {
      const insert = manager().insert(Card, { id: randomUUID(), pan: pan as unknown as string });
      await expect(insert).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
    }
  });

  it('refuses INSERT … SELECT into an encrypted column', async (context) => {
    needs(context, 'INSERT … SELECT by a query builder');
    const select = shop.dataSource.createQueryBuilder().select('card.pan').from(Card, 'card');
    expect(select).toBeInstanceOf(SelectQueryBuilder);
    const insert = shop.dataSource.createQueryBuilder().insert().into(Card, ['pan']);
    await expect(insert.valuesFromSelect(select).execute()).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
    });
  });

  it('sends no plaintext for anything in this file', async () => {
    const id = randomUUID();
    await manager().insert(Card, { id, pan: '4999999999999990' });
    await manager().update(Card, { pan: '4999999999999990' }, { note: 'seen' });
    await manager().upsert(Card, { id, pan: '4999999999999990' }, ['id']);
    expect(shop.recorder.lines.join('\n')).not.toContain('4999999999999990');
  });
});
