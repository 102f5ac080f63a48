/** Rows 6, 8, 12, 20 and 21 of the behaviour table: what is read, what is refused, what is shown. */
import assert from 'node:assert/strict';
import { assertHidden, newCard, newCustomer, ormCase, rejectsWith } from './checks.js';
import type { OrmCase, OrmFixture, ValueRow } from './orm-under-test.js';

const ROUND_TRIPS: readonly (readonly [keyof ValueRow, unknown])[] = [
  ['text', 'Zażółć gęślą jaźń 🔐'],
  ['text', ''],
  ['text', null],
  ['amount', 0.1],
  ['amount', Number.MAX_VALUE],
  ['big', -123456789012345678901234567890n],
  ['flag', true],
  ['flag', false],
  ['born', new Date('1815-12-10T00:00:00.000Z')],
  ['extra', { nested: [1, 'two', null], deep: { er: true } }],
  ['extra', 'a string as JSON'],
  ['extra', 0],
  ['photo', Buffer.from([0, 255, 0xf5])],
  ['photo', Buffer.alloc(0)],
  ['padded', 'sixteen letters!'],
  ['padded', ''],
];

const REFUSED_VALUES: readonly (readonly [keyof ValueRow, string, unknown])[] = [
  ['text', 'a number', 1],
  ['text', 'a lone surrogate', '\ud800'],
  ['amount', 'a string', '1'],
  ['amount', 'NaN', Number.NaN],
  ['big', 'a number', 1],
  ['flag', 'a number', 1],
  ['born', 'a string', '2020-01-01'],
  ['born', 'an invalid date', new Date(Number.NaN)],
  ['photo', 'a string', 'text'],
];

const valueRow = (id: number, field: keyof ValueRow, value: unknown): ValueRow => ({
  ...{
    id,
    text: null,
    amount: null,
    big: null,
    flag: null,
    born: null,
    extra: null,
    photo: null,
    padded: null,
  },
  [field]: value,
});

const PAN = '4929123456789015';

/** What must not be shown, done in every way that shows something. */
const FAILURES: readonly (readonly [string, (orm: OrmFixture) => Promise<unknown>])[] = [
  ['a unique violation', ({ cards }) => cards.insert([newCard(PAN)])],
  ['a row that is not found', ({ cards }) => cards.findOneOrFail({ pan: PAN, note: 'missing' })],
  ['an invalid id', ({ cards }) => cards.insert([{ ...newCard(PAN), id: 'x'.repeat(300) }])],
  ['a refused type', ({ customers }) => customers.insert([{ ...newCustomer('x'), name: [PAN] as never }])],
  ['a refused search', ({ customers }) => customers.find({ phone: PAN })],
  ['a refused pattern', ({ cards }) => cards.find({ pan: { like: PAN } })],
];

export const readCases: readonly OrmCase[] = [
  ormCase(6, 'a partial select opens what it asks for and nothing else', async ({ cards }) => {
    const card = { ...newCard(), note: 'plain' };
    await cards.insert([card]);
    const [withCell] = await cards.find({ id: card.id }, ['pan']);
    assert.equal(withCell?.pan, card.pan);
    assert.equal(withCell.note ?? null, null);
    const [without] = await cards.find({ id: card.id }, ['id', 'note']);
    assert.equal(without?.note, 'plain');
    assert.equal(without.pan, undefined);
  }),

  ormCase(8, 'nothing that is sent or logged holds a value or a search term', async (orm) => {
    const { cards, customers } = orm;
    const card = newCard(PAN);
    await cards.insert([card]);
    await cards.update({ pan: PAN }, { note: 'x' });
    await cards.update({ id: card.id }, { pan: PAN });
    await cards.upsert(card, 'id');
    await cards.find({ pan: { in: [PAN, '4111111111111111'] } });
    await customers.insert([{ ...newCustomer(PAN), address: { street: PAN } }]);
    await cards.remove({ pan: PAN });
    const sent = orm.sent();
    assert.ok(sent.length >= 7, 'expected the statements to be recorded');
    assertHidden('a statement', sent.join('\n'), PAN);
  }),

  ...FAILURES.map(([what, fail]) =>
    ormCase(8, `the error of ${what} holds no value and no search term`, async (orm) => {
      await orm.cards.insert([newCard(PAN)]);
      const error = await fail(orm).then(
        () => assert.fail('expected an error'),
        (reason: unknown) => reason,
      );
      assertHidden('the error', error, PAN);
      assertHidden('its JSON', JSON.stringify(error), PAN);
    }),
  ),

  ...ROUND_TRIPS.map(([field, value], i) =>
    ormCase(12, `a value of ${field} comes back as it was (${i + 1})`, async ({ values }) => {
      await values.insert([valueRow(1, field, value)]);
      assert.deepEqual((await values.findOneOrFail({ id: 1 }))[field], value);
      if (value === null) assert.equal((await values.raw(1))?.[`${field}_key`], null);
    }),
  ),

  ...REFUSED_VALUES.map(([field, what, value]) =>
    ormCase(12, `${what} is refused in ${field}, and nothing is stored`, async ({ values }) => {
      await assert.rejects(values.insert([valueRow(1, field, value)]), { name: 'SealError' });
      assert.equal(await values.raw(1), undefined);
    }),
  ),

  ormCase(20, 'a cell that was changed, a cell of another column and plaintext are refused', async (orm) => {
    const { customers } = orm;
    const ada = newCustomer('Ada');
    await customers.insert([ada]);
    const row = (await customers.raw(ada.id))!;
    const flipped = Buffer.from(row.name as Buffer);
    flipped[flipped.length - 1]! ^= 1;
    const unknown = Buffer.from(row.name as Buffer).fill(7, 2, 18);
    for (const [name, code] of [
      [flipped, 'ERR_OPEN_FAILED'],
      [row.phone, 'ERR_OPEN_FAILED'],
      [unknown, 'ERR_KEY_NOT_FOUND'],
      [Buffer.from('Ada'), 'ERR_FORMAT_CELL'],
      [Buffer.alloc(0), 'ERR_FORMAT_CELL'],
    ] as const) {
      await customers.tamper(ada.id, { name });
      await rejectsWith(code, customers.find({}));
    }
    await customers.tamper(ada.id, { name: row.name });
    assert.equal((await customers.findOneOrFail({ id: ada.id })).name, 'Ada');
  }),

  ormCase(21, 'a cell in another row than the one it is bound to is refused', async ({ cards }) => {
    const [one, other] = [newCard(), newCard()];
    await cards.insert([one, other]);
    const { pan, pan_key } = (await cards.raw(one.id))!;
    await cards.tamper(other.id, { pan, pan_key });
    await rejectsWith('ERR_OPEN_FAILED', cards.find({ id: other.id }));
    assert.equal((await cards.findOneOrFail({ id: one.id })).pan, one.pan);
  }),
];
