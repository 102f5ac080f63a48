/** Behaviour row 13: an attached DataSource and a database that was synchronized have no difference. */
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { dialect } from './databases.js';
import { Card, Customer, EveryType } from './entities.js';
import { needs } from './limits.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

const ENTITIES = [Customer, Card, EveryType];

let shop: Shop;
beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());

/** What `migration:generate` would write. */
const changes = async (dataSource: DataSource): Promise<string[]> =>
  (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);

async function expectNoChanges(dataSource: DataSource): Promise<void> {
  await dataSource.initialize();
  try {
    expect(await changes(dataSource)).toEqual([]);
  } finally {
    await dataSource.destroy();
  }
}

it('13 sees no changes after it was synchronized, attached and attached for the schema only', async () => {
  expect(await changes(shop.dataSource)).toEqual([]);
  await expectNoChanges(attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), 'schema-only'));
});

it('13 sees none when it is not attached', async (context) => {
  needs(context, 'a DataSource that is not attached');
  await expectNoChanges(dataSourceOf(shop.database.url, ENTITIES));
});

it('13 changes nothing when it is synchronized again', async () => {
  shop.recorder.clear();
  await shop.dataSource.synchronize();
  const sent = shop.recorder.statements.map(({ sql }) => sql);
  expect(sent.length).toBeGreaterThan(0);
  expect(sent.filter((sql) => /^\s*(CREATE|ALTER|DROP)\b/u.test(sql))).toEqual([]);
});

it('13 migrates an empty database with what it generates, and then generates nothing', async () => {
  const database = await dialect.fresh();
  const dataSource = attachFieldSeal(dataSourceOf(database.url, ENTITIES), 'schema-only');
  await dataSource.initialize();
  try {
    const generated = await changes(dataSource);
    expect(generated.filter((sql) => sql.startsWith('CREATE TABLE')).length).toBeGreaterThanOrEqual(3);
    for (const sql of generated) await dataSource.query(sql);
    expect(await changes(dataSource)).toEqual([]);
  } finally {
    await dataSource.destroy();
    await database.drop();
  }
});
