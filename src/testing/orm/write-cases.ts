/** Rows 1 to 5 and 10 of the behaviour table: what is written, by every verb. */
import assert from 'node:assert/strict';
import {
  assertSealed,
  newCard,
  newCustomer,
  newPan,
  ormCase,
  rejectsWith,
  saveCase,
  updatesIn,
} from './checks.js';
import type { OrmCase } from './orm-under-test.js';

const NO_STRINGS: readonly (readonly [string, unknown])[] = [
  ['bytes', Buffer.from('4111111111111111')],
  ['a number', 4111111111111111],
  ['an object', { number: 4 }],
  ['a boolean', true],
  ['an SQL expression', () => "'4111111111111111'"],
];

export const writeCases: readonly OrmCase[] = [
  ormCase(
    1,
    'a new row is stored as cell, fingerprint and blind index, and reads back',
    async ({ cards }) => {
      const card = newCard();
      await cards.insert([card]);
      await assertSealed(cards, card.id, 'pan', card.pan);
      assert.equal(((await cards.raw(card.id))?.pan_bidx as Buffer).length, 16);
      assert.equal((await cards.findOneOrFail({ id: card.id })).pan, card.pan);
    },
  ),

  ormCase(1, 'equal values have different cells and equal blind indexes', async ({ customers }) => {
    const two = [newCustomer('Ada'), newCustomer('Ada')];
    await customers.insert(two);
    const [one, other] = await Promise.all(two.map(({ id }) => customers.raw(id)));
    assert.notDeepEqual(one?.name, other?.name);
    assert.deepEqual(one?.name_bidx, other?.name_bidx);
  }),

  saveCase(1, 'saving an unchanged row sends no UPDATE', async (orm, save) => {
    const customer = newCustomer('Ada');
    await orm.customers.insert([customer]);
    const loaded = await orm.customers.findOneOrFail({ id: customer.id });
    orm.sent();
    await save.customer(loaded);
    assert.deepEqual(updatesIn(orm.sent()), []);
  }),

  saveCase(1, 'saving a changed row writes a new cell, fingerprint and blind index', async (orm, save) => {
    const customer = newCustomer('Ada');
    await orm.customers.insert([customer]);
    const before = await orm.customers.raw(customer.id);
    const loaded = await orm.customers.findOneOrFail({ id: customer.id });
    loaded.name = 'Augusta';
    await save.customer(loaded);
    const after = await orm.customers.raw(customer.id);
    await assertSealed(orm.customers, customer.id, 'name', 'Augusta');
    assert.notDeepEqual(after?.name_bidx, before?.name_bidx);
    assert.deepEqual(after?.phone, before?.phone);
    assert.equal(loaded.name, 'Augusta');
  }),

  saveCase(2, 'a change of the encrypted field alone is not lost', async (orm, save) => {
    const card = newCard();
    await orm.cards.insert([card]);
    const loaded = await orm.cards.findOneOrFail({ id: card.id });
    loaded.pan = newPan();
    await save.card(loaded);
    assert.equal((await orm.cards.findOneOrFail({ id: card.id })).pan, loaded.pan);
  }),

  saveCase(2, 'a change inside a JSON value is not lost', async (orm, save) => {
    const customer = newCustomer('Ada');
    await orm.customers.insert([customer]);
    const loaded = await orm.customers.findOneOrFail({ id: customer.id });
    (loaded.address as { street: string }).street = 'Ockham Park';
    await save.customer(loaded);
    const again = await orm.customers.findOneOrFail({ id: customer.id });
    assert.deepEqual(again.address, { street: 'Ockham Park' });
  }),

  saveCase(2, 'a change of a plain field leaves cell and siblings alone', async (orm, save) => {
    const card = newCard();
    await orm.cards.insert([card]);
    const before = await orm.cards.raw(card.id);
    const loaded = await orm.cards.findOneOrFail({ id: card.id });
    loaded.note = 'changed';
    await save.card(loaded);
    assert.deepEqual(await orm.cards.raw(card.id), { ...before, note: 'changed' });
  }),

  ormCase(3, 'a failed INSERT and a failed UPDATE leave the plaintext where it was', async ({ cards }) => {
    const [first, second] = [newCard(), newCard()];
    await cards.insert([first, second]);
    const copy = newCard(first.pan);
    await assert.rejects(cards.insert([copy]));
    assert.equal(copy.pan, first.pan);
    assert.equal(await cards.raw(copy.id), undefined);
    const set = { pan: first.pan };
    await assert.rejects(cards.update({ id: second.id }, set));
    assert.deepEqual(set, { pan: first.pan });
    assert.equal((await cards.findOneOrFail({ id: second.id })).pan, second.pan);
  }),

  ormCase(3, 'nothing is stored of rows of which one cannot be sealed', async ({ cards }) => {
    const [good, bad] = [newCard(), { ...newCard(), pan: 42 as unknown as string }];
    await rejectsWith('ERR_SEAL_TYPE', cards.insert([good, bad]));
    assert.equal(await cards.raw(good.id), undefined);
  }),

  saveCase(
    4,
    'one object can be saved twice at once, and shows its plaintext meanwhile',
    async (orm, save) => {
      const card = newCard();
      await orm.cards.insert([card]);
      const loaded = await orm.cards.findOneOrFail({ id: card.id });
      const pan = newPan();
      loaded.pan = pan;
      const saving = Promise.all([save.card(loaded), save.card(loaded)]);
      assert.equal(loaded.pan, pan);
      await saving;
      assert.equal(loaded.pan, pan);
      assert.equal((await orm.cards.findOneOrFail({ id: card.id })).pan, pan);
    },
  ),

  ormCase(5, 'many rows are written at once, and the objects keep their values', async ({ cards }) => {
    const rows = Array.from({ length: 20 }, () => newCard());
    const given = rows.map((row) => ({ ...row }));
    await cards.insert(given);
    assert.deepEqual(
      given.map(({ pan }) => pan),
      rows.map(({ pan }) => pan),
    );
    for (const { id, pan } of rows) await assertSealed(cards, id, 'pan', pan);
  }),

  ormCase(5, 'an update by criteria writes cell, fingerprint and blind index together', async ({ cards }) => {
    const card = newCard();
    await cards.insert([card]);
    const pan = newPan();
    await cards.update({ id: card.id }, { pan });
    await assertSealed(cards, card.id, 'pan', pan);
    assert.equal(await cards.count({ pan }), 1);
    assert.equal(await cards.count({ pan: card.pan }), 0);
  }),

  ormCase(5, 'an update to null clears the siblings too', async ({ customers }) => {
    const customer = newCustomer('Ada');
    await customers.insert([customer]);
    await customers.update({ id: customer.id }, { phone: null });
    const row = await customers.raw(customer.id);
    assert.deepEqual([row?.phone, row?.phone_key], [null, null]);
  }),

  ormCase(5, 'an upsert inserts, then overwrites the siblings together with the cell', async ({ cards }) => {
    const card = newCard();
    await cards.upsert(card, 'id');
    await assertSealed(cards, card.id, 'pan', card.pan);
    const again = { ...card, pan: newPan() };
    await cards.upsert(again, 'id');
    await assertSealed(cards, card.id, 'pan', again.pan);
    assert.equal(await cards.count({ pan: again.pan }), 1);
  }),

  ormCase(5, 'an upsert finds its row by an encrypted field that is unique', async ({ cards }) => {
    const card = newCard();
    await cards.upsert(card, 'pan');
    await cards.upsert({ ...card, note: 'again' }, 'pan');
    assert.equal((await cards.findOneOrFail({ id: card.id })).note, 'again');
    assert.equal(await cards.count({}), 1);
  }),

  ...NO_STRINGS.map(([what, pan]) =>
    ormCase(5, `${what} is refused in a string, by every verb`, async ({ cards }) => {
      const card = newCard();
      await cards.insert([card]);
      for (const write of [
        () => cards.insert([{ ...newCard(), pan: pan as string }]),
        () => cards.update({ id: card.id }, { pan: pan as string }),
        () => cards.upsert({ id: card.id, pan: pan as string }, 'id'),
      ]) {
        await assert.rejects(write(), /Card\.pan|cards\.pan/u);
      }
      assert.equal((await cards.findOneOrFail({ id: card.id })).pan, card.pan);
      assert.equal(await cards.count({}), 1);
    }),
  ),

  ormCase(5, 'a unique blind index refuses a second row with the same value', async ({ cards }) => {
    const card = newCard();
    await cards.insert([card]);
    await assert.rejects(cards.insert([newCard(card.pan)]));
    assert.equal(await cards.count({ pan: card.pan }), 1);
  }),

  ormCase(10, 'rows are removed by an encrypted field, and no others', async ({ cards }) => {
    const [gone, kept] = [newCard(), newCard()];
    await cards.insert([gone, kept]);
    await cards.remove({ pan: gone.pan });
    assert.deepEqual(
      (await cards.find({})).map(({ id }) => id),
      [kept.id],
    );
  }),
];
