/** Behaviour row 7: raw results give cells, `openRaw` opens them. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRaw } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { isCellHiding, openShop, reload, type Shop } from './shop.js';

const PAN = '4111111111111111';
let shop: Shop;
let card: Card;

beforeAll(async () => {
  shop = await openShop();
  card = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: PAN }));
  await shop.dataSource.manager.save(Object.assign(new Customer(), { name: 'Ada', cards: [] }));
});
afterAll(() => shop.close());

const builder = () => shop.dataSource.getRepository(Card).createQueryBuilder('card');

describe('7 raw results', () => {
  it('are cells from getRawMany, getRawOne, query and stream', async () => {
    const [many] = await builder().getRawMany<Record<string, unknown>>();
    const one = await builder().getRawOne<Record<string, unknown>>();
    const [queried] = await shop.dataSource.query<Record<string, unknown>[]>('SELECT * FROM cards');
    for (const cell of [many?.card_pan, one?.card_pan, queried?.pan])
      expect(isCellHiding(cell, PAN)).toBe(true);
  });

  it('are cells beside entities, after hydration too', async () => {
    const { raw, entities } = await builder().getRawAndEntities<Record<string, unknown>>();
    expect(entities[0]?.pan).toBe(PAN);
    expect(isCellHiding(raw[0]?.card_pan, PAN)).toBe(true);
    expect(JSON.stringify(raw)).not.toContain(PAN);
  });

  it('are cells although the same builder loads entities alone meanwhile', async () => {
    const query = builder();
    const [many, one, both] = [query.getMany(), query.getOne(), query.getRawAndEntities()];
    expect((await many)[0]?.pan).toBe(PAN);
    expect((await one)?.pan).toBe(PAN);
    const { raw } = await both;
    expect(isCellHiding((raw as Record<string, unknown>[])[0]?.card_pan, PAN)).toBe(true);
  });

  it('are opened and put back under a name that the database would cut', async () => {
    const alias = 'c'.repeat(60);
    const query = () => shop.dataSource.getRepository(Card).createQueryBuilder(alias);
    const paged = query().leftJoinAndSelect(`${alias}.customer`, 'customer').take(1);
    for (const one of [query(), paged]) {
      const { raw, entities } = await one.getRawAndEntities<Record<string, unknown>>();
      expect(entities[0]?.pan).toBe(PAN);
      expect(Object.values(raw[0]!).some((value) => isCellHiding(value, PAN))).toBe(true);
      expect(JSON.stringify(raw)).not.toMatch(/4111111111111111|opened/u);
    }
  });

  it('are cells in a stream', async (context) => {
    needs(context, 'streams');
    const stream = await builder().stream();
    const rows: Record<string, unknown>[] = [];
    for await (const row of stream as AsyncIterable<Record<string, unknown>>) rows.push(row);
    expect(isCellHiding(rows[0]?.card_pan, PAN)).toBe(true);
  });

  it('can be opened with openRaw, which leaves the rows as they are', async () => {
    const rows = await shop.dataSource.query<Record<string, unknown>[]>(
      'SELECT id AS card_id, pan FROM cards',
    );
    const opened = await openRaw(shop.dataSource, Card, rows, { card_id: 'id', pan: 'pan' });
    expect(opened).toEqual([{ card_id: card.id, pan: PAN }]);
    expect(isCellHiding(rows[0]?.pan, PAN)).toBe(true);
  });

  it('compare the sibling where it is there', async () => {
    const rows = await shop.dataSource.query<Record<string, unknown>[]>('SELECT id, pan, pan_key FROM cards');
    const swapped = rows.map((row) => ({ ...row, pan_key: '00000000-0000-8000-8000-000000000000' }));
    const mapping = { id: 'id', pan: 'pan', pan_key: 'pan_key' };
    expect(await openRaw(shop.dataSource, Card, rows, mapping)).toMatchObject([{ pan: PAN }]);
    await expect(openRaw(shop.dataSource, Card, swapped, mapping)).rejects.toMatchObject({
      code: 'ERR_OPEN_FAILED',
    });
  });

  it('are opened where the first row lacks the cell, or its sibling', async () => {
    const [row] = await shop.dataSource.query<Record<string, unknown>[]>(
      'SELECT id, pan, pan_key FROM cards',
    );
    const mapping = { id: 'id', pan: 'pan', pan_key: 'pan_key' };
    const open = (rows: Record<string, unknown>[]) => openRaw(shop.dataSource, Card, rows, mapping);
    const id = randomUUID();
    const opened = await open([{ id }, { id, pan: null }, row!]);
    expect(opened).toMatchObject([{ id }, { id, pan: null }, { pan: PAN }]);
    const swapped = { ...row!, pan_key: '00000000-0000-8000-8000-000000000000' };
    await expect(open([{ id }, swapped])).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  it('cannot be opened without the values that the cell is bound to', async () => {
    const rows = await shop.dataSource.query<Record<string, unknown>[]>('SELECT pan FROM cards');
    await expect(openRaw(shop.dataSource, Card, rows, { pan: 'pan' })).rejects.toMatchObject({
      code: 'ERR_OPEN_FAILED',
    });
  });

  it('name a property that is not there', async () => {
    await expect(openRaw(shop.dataSource, Card, [{}], { x: 'nan' })).rejects.toMatchObject({
      code: 'ERR_QUERY_UNSUPPORTED',
    });
  });
});

describe('partial selects', () => {
  it('take the bound columns along and do not leave them on the entity', async () => {
    const found = await shop.dataSource.getRepository(Card).find({ select: { pan: true } });
    expect(found.map(({ pan }) => pan)).toEqual([PAN]);
    const built = await shop.dataSource.getRepository(Card).createQueryBuilder('c').select('c.pan').getMany();
    expect(built.map(({ pan, note }) => ({ pan, note }))).toEqual([{ pan: PAN, note: undefined }]);
  });

  it('without the cell ask for no key', async () => {
    const before = shop.seal.stats().cellsOpened;
    const [found] = await shop.dataSource.getRepository(Card).find({ select: { id: true, note: true } });
    expect(found?.pan).toBeUndefined();
    expect(shop.seal.stats().cellsOpened).toBe(before);
  });
});

describe('a table that was changed by hand', () => {
  it('is refused: flipped bit, cell of another row, cell of another column, plaintext, NULL sibling kept', async () => {
    const other = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: '5555555555554444' }));
    const row = await shop.raw('cards', card.id);
    const cell = row.pan as Buffer;
    const flipped = Buffer.from(cell);
    flipped[flipped.length - 1]! ^= 1;
    const cases: [string, Buffer][] = [
      ['ERR_OPEN_FAILED', flipped],
      ['ERR_OPEN_FAILED', (await shop.raw('cards', other.id)).pan as Buffer],
      ['ERR_FORMAT_CELL', Buffer.from(PAN)],
      ['ERR_FORMAT_CELL', Buffer.alloc(0)],
    ];
    for (const [code, changed] of cases) {
      await shop.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [changed, card.id]);
      await expect(reload(shop, Card, card.id)).rejects.toMatchObject({ code });
    }
    await shop.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [cell, card.id]);
    expect((await reload(shop, Card, card.id)).pan).toBe(PAN);
  });

  it('names a fingerprint that no key has', async () => {
    const row = await shop.raw('cards', card.id);
    const unknown = Buffer.from(row.pan as Buffer);
    unknown.fill(7, 2, 18);
    await shop.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [unknown, card.id]);
    await expect(reload(shop, Card, card.id)).rejects.toMatchObject({ code: 'ERR_KEY_NOT_FOUND' });
    await shop.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [row.pan, card.id]);
  });
});
