/** Behaviour row 13: an attached DataSource and a database that was synchronized have no difference. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { Card, Customer, EveryType } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());

const changes = async (dataSource: DataSource): Promise<string[]> =>
  (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);

it('13 synchronizes once: attached, attached for the schema only, and not attached', async () => {
  const entities = [Customer, Card, EveryType];
  const schemaOnly = attachFieldSeal(dataSourceOf(shop.database.url, entities), 'schema-only');
  const plain = dataSourceOf(shop.database.url, entities);
  await Promise.all([schemaOnly.initialize(), plain.initialize()]);
  try {
    for (const dataSource of [shop.dataSource, schemaOnly, plain])
      expect(await changes(dataSource)).toEqual([]);
  } finally {
    await Promise.all([schemaOnly.destroy(), plain.destroy()]);
  }
});
