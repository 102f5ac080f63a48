/** Behaviour row 15: two DataSources over the same classes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
let other: Shop;
beforeAll(async () => {
  [shop, other] = await Promise.all([
    openShop({ entities: [Card, Customer] }),
    openShop({ entities: [Card, Customer] }),
  ]);
});
afterAll(() => Promise.all([shop.close(), other.close()]));

it('15 each DataSource uses its own keys', async () => {
  const card = Object.assign(new Card(), { pan: '4111111111111111' });
  await shop.dataSource.manager.save(card);
  await other.dataSource.manager.save(Object.assign(new Card(), card));
  const [mine, theirs] = [await shop.raw('cards', card.id), await other.raw('cards', card.id)];
  expect(mine.pan_key).not.toBe(theirs.pan_key);
  expect(mine.pan_bidx).not.toEqual(theirs.pan_bidx);

  await other.database.query('UPDATE cards SET pan = $1 WHERE id = $2', [mine.pan, card.id]);
  await expect(other.dataSource.manager.findOneBy(Card, { id: card.id })).rejects.toMatchObject({
    code: 'ERR_KEY_NOT_FOUND',
  });
  expect((await shop.dataSource.manager.findOneBy(Card, { id: card.id }))?.pan).toBe('4111111111111111');
});

it('15 two DataSources over one database and one field seal read each other', async () => {
  const second = await attachFieldSeal(
    dataSourceOf(shop.database.url, [Card, Customer]),
    shop.seal,
  ).initialize();
  const card = await second.manager.save(Object.assign(new Card(), { pan: '5555555555554444' }));
  expect((await shop.dataSource.manager.findOneBy(Card, { pan: '5555555555554444' }))?.id).toBe(card.id);
  await second.destroy();
  expect((await shop.dataSource.manager.findOneBy(Card, { id: card.id }))?.pan).toBe('5555555555554444');
});

it('15 a DataSource that is destroyed and initialized again still seals', async () => {
  await shop.dataSource.destroy();
  await shop.dataSource.initialize();
  const card = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: '378282246310005' }));
  expect((await shop.dataSource.manager.findOneByOrFail(Card, { id: card.id })).pan).toBe('378282246310005');
});
