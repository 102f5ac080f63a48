/** That the pg of the project is really what the DataSources and the key store of its tests talk to PostgreSQL with. */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import type * as Pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { postgresKeyStore } from '../../src/store/postgres.js';
import { SCOPE } from '../store/records.js';
import { databaseName } from './databases.js';
import { openShop, type Shop } from './shop.js';

const VERSIONS = { pg: '8.23.1', 'pg-8.11.0': '8.11.0' } as const;
const PACKAGES = ['pg', 'pg-8.11.0'] as const;

const require = createRequire(import.meta.url);
const clientOf = (name: keyof typeof VERSIONS) => (require(name) as typeof Pg).Client;

let shop: Shop;
beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());

/** The versions of pg that connected meanwhile. */
async function connecting(work: () => Promise<unknown>): Promise<string[]> {
  const spies = PACKAGES.map((name) => vi.spyOn(clientOf(name).prototype, 'connect'));
  try {
    await work();
    return PACKAGES.filter((_, i) => spies[i]!.mock.calls.length > 0).map((name) => VERSIONS[name]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const expected = VERSIONS[inject('pg')];

it.each(PACKAGES)('%s is the version that its name says', (name) => {
  expect(require(`${name}/package.json`)).toMatchObject({ name: 'pg', version: VERSIONS[name] });
});

it('the key store', async () => {
  const work = async () => {
    const store = postgresKeyStore({ connectionString: shop.keyDatabase.url });
    await store.list(SCOPE);
    await store.close();
  };
  expect(await connecting(work)).toEqual([expected]);
});

function onPostgres(): void {
  it('the connections of a DataSource', async () => {
    const runner = shop.dataSource.createQueryRunner();
    expect(await runner.connect()).toBeInstanceOf(clientOf(inject('pg')));
    await runner.release();
  });

  it('a whole shop, and nothing else in it', async () => {
    const work = async () => {
      await (await openShop()).close();
    };
    expect(await connecting(work)).toEqual([expected]);
  });
}
if (databaseName === 'postgres') describe('on PostgreSQL', onPostgres);
