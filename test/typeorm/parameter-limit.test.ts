/** Behaviour row 19: more bind parameters than the protocol carries. */
import { randomUUID } from 'node:crypto';
import { In } from 'typeorm';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { databaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { openShop, type Shop } from './shop.js';

/** A card without a note takes four parameters: id, pan, pan_key, pan_bidx. Plain, it would take two. */
const LIMIT = databaseName === 'sqljs' ? 32_766 : 65_535;
const FITTING = Math.floor(LIMIT / 4);

let shop: Shop;
let nextPan = 4_300_000_000_000_000;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());
beforeEach(async () => {
  await shop.database.query('DELETE FROM cards');
  shop.recorder.clear();
});

const manager = () => shop.dataSource.manager;

/** Cards that take `parameters` parameters together. */
function cardsOf(parameters: number): { id: string; pan: string; note?: string }[] {
  return Array.from({ length: FITTING }, (_, i) => ({
    id: randomUUID(),
    pan: String(++nextPan),
    ...(i < parameters - 4 * FITTING && { note: 'one more' }),
  }));
}

it('19 takes an insert with as many parameters as the database takes', async () => {
  await manager().insert(Card, cardsOf(LIMIT));
  const insert = shop.recorder.statements.find(({ sql }) => sql.startsWith('INSERT'));
  expect(insert?.parameters).toHaveLength(LIMIT);
  expect(await manager().count(Card)).toBe(FITTING);
});

it('19 refuses one parameter more before anything is sent, and says what to do', async (context) => {
  needs(context, 'a limit of bind parameters');
  await expect(manager().insert(Card, cardsOf(LIMIT + 1))).rejects.toMatchObject({
    code: 'ERR_QUERY_PARAMETERS',
    message:
      `Card: expected at most ${LIMIT} bind parameters in one statement, which is what ${databaseName} takes, got ${LIMIT + 1}; ` +
      'encrypted fields count with their sibling columns. Save in parts with save(rows, { chunk: 1000 }), or insert or ' +
      'name fewer rows at once.',
  });
  expect(shop.recorder.of('INSERT')).toEqual([]);
});

it('19 saves in chunks what does not fit at once', async (context) => {
  needs(context, 'a limit of bind parameters');
  const cards = cardsOf(LIMIT + 1).map((card) => Object.assign(new Card(), card));
  await expect(manager().save(cards)).rejects.toMatchObject({ code: 'ERR_QUERY_PARAMETERS' });
  expect(await manager().count(Card)).toBe(0);
  await manager().save(cards, { chunk: 5_000 });
  expect(await manager().count(Card)).toBe(FITTING);
});

it('19 refuses a search for more values than fit', async (context) => {
  needs(context, 'a limit of bind parameters');
  const pans = Array.from({ length: LIMIT + 1 }, (_, i) => String(i));
  await expect(manager().findBy(Card, { pan: In(pans) })).rejects.toMatchObject({
    code: 'ERR_QUERY_PARAMETERS',
  });
});
