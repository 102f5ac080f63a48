/** Row 9 of the behaviour table: finding rows by an encrypted field, and what is refused. */
import assert from 'node:assert/strict';
import { newCard, newCustomer, ormCase, rejectsWith } from './checks.js';
import type { CustomerRow, OrmCase, OrmTable, Where } from './orm-under-test.js';

const NAMES = ['Ada', 'Grace', 'Barbara'];

/** Ada has no phone. */
async function seed(customers: OrmTable<CustomerRow>): Promise<void> {
  await customers.insert(
    NAMES.map((name) => ({ ...newCustomer(name), ...(name === 'Ada' && { phone: null }) })),
  );
}

const ANSWERED: readonly (readonly [string, Where<CustomerRow>, readonly string[]])[] = [
  ['a value', { name: 'Ada' }, ['Ada']],
  ['a value as it is normalised', { name: 'ADA' }, ['Ada']],
  ['several values', { name: { in: ['Ada', 'Grace', 'nobody'] } }, ['Ada', 'Grace']],
  ['no value at all', { name: { in: [] } }, []],
  ['everything but a value', { name: { not: 'Ada' } }, ['Barbara', 'Grace']],
  ['a value and a plain field', { name: 'Ada', status: 'old' }, []],
  ['NULL, without a blind index', { phone: { isNull: true } }, ['Ada']],
  ['anything but NULL', { phone: { not: { isNull: true } } }, ['Barbara', 'Grace']],
];

const REFUSED: readonly (readonly [string, Where<CustomerRow>])[] = [
  ['an order', { name: { lessThan: 'B' } }],
  ['a pattern', { name: { like: 'A%' } }],
  ['null', { name: null as unknown as string }],
  ['undefined', { name: undefined as unknown as string }],
  ['null among several values', { name: { in: ['Ada', null] } }],
];

export const searchCases: readonly OrmCase[] = [
  ...ANSWERED.map(([what, where, expected]) =>
    ormCase(9, `rows are found by ${what}`, async ({ customers }) => {
      await seed(customers);
      assert.deepEqual((await customers.find(where)).map(({ name }) => name).sort(), [...expected]);
      assert.equal(await customers.count(where), expected.length);
    }),
  ),

  ...REFUSED.map(([what, where]) =>
    ormCase(
      9,
      `a search by ${what} is refused, in a find, an update and a removal`,
      async ({ customers }) => {
        await seed(customers);
        await rejectsWith('ERR_QUERY_UNSUPPORTED', customers.find(where));
        await assert.rejects(customers.update(where, { status: 'x' }));
        await assert.rejects(customers.remove(where));
        assert.equal(await customers.count({ status: 'new' }), NAMES.length);
      },
    ),
  ),

  ormCase(9, 'a search by a field without a blind index is refused', async ({ customers }) => {
    await rejectsWith('ERR_QUERY_NO_BLIND_INDEX', customers.find({ phone: '+44 20 7946 0000' }));
  }),

  ormCase(9, 'an order by an encrypted field is refused', async ({ customers }) => {
    await rejectsWith('ERR_QUERY_UNSUPPORTED', customers.findOrdered('name'));
    assert.deepEqual(await customers.findOrdered('status'), []);
  }),

  ormCase(9, 'a row that is found by an index that is not its own is refused', async ({ customers }) => {
    const [ada, grace] = [newCustomer('Ada'), newCustomer('Grace')];
    await customers.insert([ada, grace]);
    await customers.tamper(grace.id, { name_bidx: (await customers.raw(ada.id))?.name_bidx });
    await rejectsWith('ERR_OPEN_FAILED', customers.find({ name: 'Ada' }));
  }),

  ormCase(9, 'an upsert and a search agree on the value', async ({ cards }) => {
    const card = newCard();
    await cards.upsert(card, 'pan');
    assert.deepEqual(
      (await cards.find({ pan: card.pan })).map(({ id }) => id),
      [card.id],
    );
  }),
];
