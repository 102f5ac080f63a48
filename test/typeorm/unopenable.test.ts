/** Behaviour rows 18 and 20: cells that cannot be opened, and the sealed values that stand for them. */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { In, SelectQueryBuilder } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isSealed, openRaw, type Sealed } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { openShop, reload, type Shop } from './shop.js';

/** Each process draws one of four keys, so that one can meet rows under keys that it does not hold. */
const PURPOSES = {
  'card-number': { pool: { validKeys: 4, handOut: 1, futureKeys: 1 } },
  'personal-data': { pool: { validKeys: 4, handOut: 1, futureKeys: 1 } },
} as const;

let shop: Shop;
let nextPan = 4_200_000_000_000_000;
const newPan = (): string => String(++nextPan);

beforeAll(async () => {
  shop = await openShop({ purposes: PURPOSES, attach: { onUnopenable: 'sealed' } });
});
afterAll(() => shop.close());
beforeEach(() => shop.recorder.clear());
afterEach(() => shop.kms.faults.clear());

const manager = () => shop.dataSource.manager;
const newCard = (): Promise<Card> => manager().save(Object.assign(new Card(), { pan: newPan() }));

async function changeCell(id: string, change: (cell: Buffer) => Buffer): Promise<Buffer> {
  const changed = change((await shop.raw('cards', id)).pan as Buffer);
  await shop.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [changed, id]);
  return changed;
}

const flipLastBit = (cell: Buffer): Buffer => {
  const flipped = Buffer.from(cell);
  flipped[flipped.length - 1]! ^= 1;
  return flipped;
};
const underUnknownKey = (cell: Buffer): Buffer => Buffer.from(cell).fill(7, 2, 18);

const sealedPan = (card: Card): Sealed => {
  const value: unknown = card.pan;
  if (!isSealed(value)) throw new TypeError('expected a sealed value');
  return value;
};

/** A process whose keyring lacks the key of the card. */
async function openStranger(card: Card): Promise<Shop> {
  const { pan_key } = await shop.raw('cards', card.id);
  for (;;) {
    const stranger = await openShop({
      beside: shop,
      purposes: PURPOSES,
      attach: { onUnopenable: 'sealed' },
      kmsOptions: { attempts: 1 },
    });
    const probe = stranger.seal.seal('card-number', 'probe.value', 'x');
    if (probe.subarray(2, 18).toString('hex') !== String(pan_key).replaceAll('-', '')) return stranger;
    await stranger.close();
  }
}

describe("20 with onUnopenable: 'sealed'", () => {
  it.each([
    ['ERR_OPEN_FAILED', 'changed', flipLastBit],
    ['ERR_KEY_NOT_FOUND', 'under an unknown key', underUnknownKey],
    ['ERR_FORMAT_CELL', 'not a cell', () => Buffer.from('4111111111111111')],
    ['ERR_FORMAT_CELL', 'empty', () => Buffer.alloc(0)],
  ])('%s for a cell that is %s: its neighbours open', async (code, _, change) => {
    const [broken, neighbour] = [await newCard(), await newCard()];
    await changeCell(broken.id, change);
    const found = await manager().findBy(Card, { id: In([broken.id, neighbour.id]) });
    const byId = new Map(found.map((card) => [card.id, card]));
    expect(byId.get(neighbour.id)?.pan).toBe(neighbour.pan);
    await expect(sealedPan(byId.get(broken.id)!).open()).rejects.toMatchObject({ code });
  });

  it('shows purpose, field and fingerprint, and no bytes of the cell', async () => {
    const card = await newCard();
    const cell = await changeCell(card.id, flipLastBit);
    const loaded = await reload(shop, Card, card.id);
    const { pan_key } = await shop.raw('cards', card.id);
    expect(inspect(sealedPan(loaded))).toBe(`Sealed { card-number, cards.pan, key ${String(pan_key)} }`);
    expect(JSON.stringify(loaded)).toContain('"pan":"[sealed]"');
    expect(String(sealedPan(loaded))).toBe('[sealed]');
    expect(inspect(loaded, { depth: 9, showHidden: true })).not.toContain(
      cell.subarray(20, 28).toString('hex'),
    );
  });

  it('gives null where there is no cell, and a value again once the cell is whole', async () => {
    const customer = await manager().save(Object.assign(new Customer(), { name: 'Ada', phone: null }));
    expect((await reload(shop, Customer, customer.id)).phone).toBeNull();
    const card = await newCard();
    const changed = await changeCell(card.id, flipLastBit);
    const sealed = sealedPan(await reload(shop, Card, card.id));
    await changeCell(card.id, () => flipLastBit(changed));
    await expect(sealed.open()).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
    expect((await reload(shop, Card, card.id)).pan).toBe(card.pan);
  });

  it('opens later when the key was out of reach', async () => {
    const card = await newCard();
    const stranger = await openStranger(card);
    try {
      shop.kms.faults.inject('Decrypt', 'internal');
      const loaded = await reload(stranger, Card, card.id);
      await expect(sealedPan(loaded).open()).rejects.toMatchObject({ code: 'ERR_KEY_UNAVAILABLE' });
      shop.kms.faults.clear();
      expect(await sealedPan(loaded).open()).toBe(card.pan);
    } finally {
      await stranger.close();
    }
  });

  it('finds rows by blind index whose value stays sealed', async () => {
    const card = await newCard();
    await changeCell(card.id, flipLastBit);
    const found = await manager().findOneByOrFail(Card, { pan: card.pan });
    expect(found.id).toBe(card.id);
    expect(isSealed(found.pan)).toBe(true);
  });

  it('opens a joined neighbour beside a broken parent', async () => {
    const customer = Object.assign(new Customer(), { name: 'Joined', cards: [] as Card[] });
    customer.cards = [Object.assign(new Card(), { pan: newPan() })];
    await manager().save(customer);
    const { pan } = customer.cards[0]!;
    await shop.database.query('UPDATE customers SET name = $1 WHERE id = $2', [
      Buffer.from('f5', 'hex'),
      customer.id,
    ]);
    const loaded = await manager().findOneOrFail(Customer, {
      where: { id: customer.id },
      relations: { cards: true },
    });
    expect(isSealed(loaded.name)).toBe(true);
    expect(loaded.cards[0]?.pan).toBe(pan);
  });

  it('holds for builders that were not made by the data source', async () => {
    const [broken, whole] = [await newCard(), await newCard()];
    await changeCell(broken.id, flipLastBit);
    const foreign = new SelectQueryBuilder<Card>(shop.dataSource);
    const cards = await foreign
      .select('card')
      .from(Card, 'card')
      .where({ id: In([broken.id, whole.id]) })
      .getMany();
    const byId = new Map(cards.map((card) => [card.id, card]));
    expect(byId.get(whole.id)?.pan).toBe(whole.pan);
    await expect(sealedPan(byId.get(broken.id)!).open()).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  it('is a matter of each openRaw', async () => {
    const [broken, whole] = [await newCard(), await newCard()];
    await changeCell(broken.id, flipLastBit);
    const rows = await shop.database.query('SELECT id, pan FROM cards WHERE id IN ($1, $2)', [
      broken.id,
      whole.id,
    ]);
    const mapping = { id: 'id', pan: 'pan' };
    const opened = await openRaw(shop.dataSource, Card, rows, mapping);
    expect(opened.filter(({ pan }) => isSealed(pan)).map(({ id }) => id)).toEqual([broken.id]);
    expect(opened.find(({ id }) => id === whole.id)?.pan).toBe(whole.pan);
    const strict = openRaw(shop.dataSource, Card, rows, mapping, { onUnopenable: 'throw' });
    await expect(strict).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
    const wrong = openRaw(shop.dataSource, Card, rows, mapping, { onUnopenable: 'null' as 'throw' });
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_CONFIG_OPTION' });
  });

  it('still fails the read for a row that was found by an index that is not its own', async () => {
    const [one, two] = [await newCard(), await newCard()];
    const { pan_bidx } = await shop.raw('cards', one.id);
    await manager().delete(Card, { id: one.id });
    await shop.database.query('UPDATE cards SET pan_bidx = $1 WHERE id = $2', [pan_bidx, two.id]);
    await expect(manager().findOneBy(Card, { pan: one.pan })).rejects.toMatchObject({
      code: 'ERR_OPEN_FAILED',
    });
  });
});

describe('20 saving an entity with a sealed value', () => {
  it('issues no UPDATE when nothing changed', async () => {
    const card = await newCard();
    await changeCell(card.id, flipLastBit);
    const loaded = await reload(shop, Card, card.id);
    shop.recorder.clear();
    await manager().save(loaded);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    expect(isSealed(loaded.pan)).toBe(true);
  });

  it('saves what changed and leaves the cell byte for byte', async () => {
    const card = await newCard();
    await changeCell(card.id, flipLastBit);
    const before = await shop.raw('cards', card.id);
    const loaded = await reload(shop, Card, card.id);
    loaded.note = 'changed';
    await manager().save(loaded);
    expect(await shop.raw('cards', card.id)).toEqual({ ...before, note: 'changed' });
  });

  it('tells sealed values of a JSON field apart', async () => {
    const customer = await manager().save(
      Object.assign(new Customer(), { name: 'Json', address: { street: 'one' } }),
    );
    await shop.database.query('UPDATE customers SET address = $1 WHERE id = $2', [
      Buffer.from('f500', 'hex'),
      customer.id,
    ]);
    const loaded = await reload(shop, Customer, customer.id);
    await shop.database.query('UPDATE customers SET address = $1 WHERE id = $2', [
      Buffer.from('f501', 'hex'),
      customer.id,
    ]);
    await expect(manager().save(loaded)).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
  });

  it('does so when the key is in reach again', async () => {
    const card = await newCard();
    const stranger = await openStranger(card);
    try {
      shop.kms.faults.inject('Decrypt', 'internal');
      const [unchanged, changed] = [
        await reload(stranger, Card, card.id),
        await reload(stranger, Card, card.id),
      ];
      expect([unchanged, changed].map(({ pan }) => isSealed(pan))).toEqual([true, true]);
      shop.kms.faults.clear();
      stranger.recorder.clear();
      await stranger.dataSource.manager.save(unchanged);
      expect(stranger.recorder.of('UPDATE')).toEqual([]);
      const before = await shop.raw('cards', card.id);
      changed.note = 'in reach';
      await stranger.dataSource.manager.save(changed);
      expect(await shop.raw('cards', card.id)).toEqual({ ...before, note: 'in reach' });
    } finally {
      await stranger.close();
    }
  });

  it('refuses it when another value was written meanwhile', async () => {
    const card = await newCard();
    const stranger = await openStranger(card);
    try {
      shop.kms.faults.inject('Decrypt', 'internal');
      const loaded = await reload(stranger, Card, card.id);
      shop.kms.faults.clear();
      card.pan = newPan();
      await manager().save(card);
      await expect(stranger.dataSource.manager.save(loaded)).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
      expect((await reload(shop, Card, card.id)).pan).toBe(card.pan);
    } finally {
      await stranger.close();
    }
  });

  it('writes a new value in its place', async () => {
    const card = await newCard();
    await changeCell(card.id, flipLastBit);
    const loaded = await reload(shop, Card, card.id);
    loaded.pan = newPan();
    await manager().save(loaded);
    expect((await reload(shop, Card, card.id)).pan).toBe(loaded.pan);
  });
});

describe('18 a sealed value', () => {
  it('is refused on another entity, in another row, and by insert, update and upsert', async () => {
    const [broken, other] = [await newCard(), await newCard()];
    await changeCell(broken.id, flipLastBit);
    const { pan } = await reload(shop, Card, broken.id);
    const before = [await shop.raw('cards', broken.id), await shop.raw('cards', other.id)];
    const id = randomUUID();
    const writes = [
      () => manager().save(Object.assign(new Card(), { pan })),
      () => manager().save(Object.assign(new Customer(), { name: pan })),
      () => manager().save(Object.assign(other, { pan })),
      () => manager().insert(Card, { id, pan }),
      () => manager().update(Card, { id: other.id }, { pan }),
      () => manager().update(Card, { id: broken.id }, { pan }),
      () => manager().upsert(Card, { id: broken.id, pan }, ['id']),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
    expect([await shop.raw('cards', broken.id), await shop.raw('cards', other.id)]).toEqual(before);
    expect(await shop.raw('cards', id)).toBeUndefined();
  });

  it('is refused as a search term', async () => {
    const card = await newCard();
    await changeCell(card.id, flipLastBit);
    const { pan } = await reload(shop, Card, card.id);
    await expect(manager().findBy(Card, { pan })).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
  });
});

it("20 without the option the read fails with the first cell's error", async () => {
  const strict = await openShop({ beside: shop, purposes: PURPOSES });
  const card = await newCard();
  await changeCell(card.id, flipLastBit);
  await expect(reload(strict, Card, card.id)).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  await strict.close();
});
