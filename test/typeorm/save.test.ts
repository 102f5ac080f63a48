/** Behaviour rows 1 to 4: saving entities. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dialect } from './databases.js';
import { Card, Customer } from './entities.js';
import { isCellHiding, openShop, reload, type Shop } from './shop.js';

const PAN = '4111111111111111';
const OTHER_PAN = '5555555555554444';

let shop: Shop;
beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());
beforeEach(() => shop.recorder.clear());

function newCard(pan = randomPan()): Card {
  return Object.assign(new Card(), { pan });
}

function newCustomer(name = 'Ada Lovelace'): Customer {
  return Object.assign(new Customer(), {
    name,
    phone: '+44 20 7946 0000',
    address: { street: '12 St James' },
  });
}

/** Sixteen digits that no other test uses. */
function randomPan(): string {
  return `4${BigInt(`0x${randomUUID().slice(0, 8)}`)
    .toString()
    .padStart(15, '7')}`;
}

describe('1 save', () => {
  it('stores a new entity as cell, fingerprint and blind index, and reads it back', async () => {
    const card = newCard(PAN);
    await shop.dataSource.manager.save(card);

    const row = await shop.raw('cards', card.id);
    expect(isCellHiding(row.pan, PAN)).toBe(true);
    const cell = row.pan as Buffer;
    expect(row.pan_key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8/);
    expect(cell.subarray(2, 18).toString('hex')).toBe(String(row.pan_key).replaceAll('-', ''));
    expect(row.pan_bidx).toHaveLength(16);
    expect(card.pan).toBe(PAN);
    expect((await reload(shop, Card, card.id)).pan).toBe(PAN);
  });

  it('seals two rows with equal values into different cells', async () => {
    const [one, two] = [newCustomer('Same Name'), newCustomer('Same Name')];
    await shop.dataSource.manager.save([one, two]);

    const rows = await Promise.all([shop.raw('customers', one.id), shop.raw('customers', two.id)]);
    expect(rows[0].name).not.toEqual(rows[1].name);
    expect(rows[0].name_bidx).toEqual(rows[1].name_bidx);
  });

  it('issues no UPDATE for an unchanged entity', async () => {
    const customer = await shop.dataSource.manager.save(newCustomer());
    const loaded = await reload(shop, Customer, customer.id);
    shop.recorder.clear();
    await shop.dataSource.manager.save(loaded);
    await shop.dataSource.manager.save(customer);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('issues no UPDATE for a plain object with the same value', async () => {
    const customer = await shop.dataSource.manager.save(newCustomer());
    shop.recorder.clear();
    await shop.dataSource.manager.save(Customer, {
      id: customer.id,
      name: customer.name,
      address: { street: '12 St James' },
    });
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('writes a changed entity with a new cell and a fingerprint that fits it', async () => {
    const customer = await shop.dataSource.manager.save(newCustomer());
    const before = await shop.raw('customers', customer.id);
    customer.name = 'Augusta King';
    await shop.dataSource.manager.save(customer);

    const after = await shop.raw('customers', customer.id);
    expect(after.name).not.toEqual(before.name);
    expect((after.name as Buffer).subarray(2, 18).toString('hex')).toBe(
      String(after.name_key).replaceAll('-', ''),
    );
    expect(after.name_bidx).not.toEqual(before.name_bidx);
    expect(after.phone).toEqual(before.phone);
    expect((await reload(shop, Customer, customer.id)).name).toBe('Augusta King');
  });
});

describe('2 only the encrypted field changed', () => {
  it('is not lost', async () => {
    const card = await shop.dataSource.manager.save(newCard());
    const loaded = await reload(shop, Card, card.id);
    loaded.pan = OTHER_PAN;
    await shop.dataSource.manager.save(loaded);

    expect(shop.recorder.of('UPDATE')).toHaveLength(1);
    expect((await reload(shop, Card, card.id)).pan).toBe(OTHER_PAN);
  });

  it('is not lost when JSON is changed in place', async () => {
    const customer = await shop.dataSource.manager.save(newCustomer());
    const loaded = await reload(shop, Customer, customer.id);
    loaded.address!.street = '1 Ockham Park';
    await shop.dataSource.manager.save(loaded);
    expect((await reload(shop, Customer, customer.id)).address).toEqual({ street: '1 Ockham Park' });
  });

  it('is not lost when it becomes null, which clears the siblings too', async () => {
    const customer = await shop.dataSource.manager.save(newCustomer());
    customer.phone = null;
    await shop.dataSource.manager.save(customer);

    const row = await shop.raw('customers', customer.id);
    expect([row.phone, row.phone_key]).toEqual([null, null]);
    expect((await reload(shop, Customer, customer.id)).phone).toBeNull();
  });

  it('leaves the siblings alone when something else is saved', async () => {
    const card = await shop.dataSource.manager.save(newCard());
    const before = await shop.raw('cards', card.id);
    card.note = 'changed';
    await shop.dataSource.manager.save(card);
    expect(await shop.raw('cards', card.id)).toEqual({ ...before, note: 'changed' });
  });
});

describe('3 failures', () => {
  it('leaves the plaintext on the entity when an INSERT fails', async () => {
    const first = await shop.dataSource.manager.save(newCard());
    const copy = newCard(first.pan);
    await expect(shop.dataSource.manager.save(copy)).rejects.toThrow(dialect.unique);
    expect(copy.pan).toBe(first.pan);
  });

  it('leaves the plaintext on the entity when an UPDATE fails', async () => {
    const first = await shop.dataSource.manager.save(newCard());
    const second = await shop.dataSource.manager.save(newCard());
    second.pan = first.pan;
    await expect(shop.dataSource.manager.save(second)).rejects.toThrow(dialect.unique);
    expect(second.pan).toBe(first.pan);
  });

  it('leaves the plaintext on the entity after a rollback, and nothing in the table', async () => {
    const card = newCard();
    const { pan } = card;
    const rollback = new Error('rolled back on purpose');
    await expect(
      shop.dataSource.transaction(async (manager) => {
        await manager.save(card);
        throw rollback;
      }),
    ).rejects.toBe(rollback);
    expect(card.pan).toBe(pan);
    expect(await shop.raw('cards', card.id)).toBeUndefined();
  });

  it('stores nothing of a row whose value cannot be sealed', async () => {
    const good = newCard();
    const bad = newCard(42 as unknown as string);
    await expect(shop.dataSource.manager.save([good, bad])).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
    expect(await shop.raw('cards', good.id)).toBeUndefined();
    expect(shop.recorder.of('INSERT')).toEqual([]);
  });
});

describe('4 concurrency', () => {
  it('saves one object twice at once', async () => {
    const card = await shop.dataSource.manager.save(newCard());
    card.pan = randomPan();
    const { pan } = card;
    await Promise.all([shop.dataSource.manager.save(card), shop.dataSource.manager.save(card)]);
    expect(card.pan).toBe(pan);
    expect((await reload(shop, Card, card.id)).pan).toBe(pan);
  });

  it('shows the plaintext to whoever reads the object during a save', async () => {
    const card = newCard();
    const { pan } = card;
    const save = { isDone: false };
    const saving = shop.dataSource.manager.save(card).finally(() => (save.isDone = true));
    const seen = new Set<string>();
    const isDone = () => save.isDone;
    while (!isDone()) {
      seen.add(card.pan);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await saving;
    expect([...seen]).toEqual([pan]);
  });

  it('seals with cascades and opens relations', async () => {
    const customer = newCustomer('Cascade Owner');
    customer.cards = [newCard(), newCard()];
    await shop.dataSource.manager.save(customer);
    const pans = customer.cards.map(({ pan }) => pan).sort();
    const loaded = await shop.dataSource.manager.findOneOrFail(Customer, {
      where: { id: customer.id },
      relations: { cards: true },
    });
    expect(loaded.cards.map(({ pan }) => pan).sort()).toEqual(pans);
    expect(loaded.name).toBe('Cascade Owner');
  });
});
