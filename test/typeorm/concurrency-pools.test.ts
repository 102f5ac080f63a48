/** Connection pools that are as small as can be, with the key store in the same database. */
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFieldSeal, keyStoreSource, type FieldSeal } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { migrateKeyStore, postgresKeyStore, type PostgresKeyStoreOptions } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { newPool } from '../database.js';
import { ENTITIES } from './concurrency-entities.js';
import { kmsOf, newCard } from './concurrency-fixture.js';
import { Card } from './entities.js';
import { isAbleTo } from './limits.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

describe.runIf(isAbleTo('a key store in the same database'))('one connection', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({
      entities: ENTITIES,
      purposes: { 'card-number': { pool: { validKeys: 4, handOut: 4 } }, 'personal-data': {} },
    });
    await migrateKeyStore({ connectionString: shop.database.url });
    // The first process on the key store makes its keys, and all of them seal.
    await using writer = await open({ connectionString: shop.database.url }, 4);
    await writer.dataSource.manager.save(Array.from({ length: 64 }, newCard));
  });
  afterAll(() => shop.close());

  interface Opened extends AsyncDisposable {
    readonly dataSource: DataSource;
    readonly seal: FieldSeal;
  }

  /** A data source of one connection, with the key store in the same database, holding `handOut` of four keys. */
  async function open(
    store: PostgresKeyStoreOptions | ((dataSource: DataSource) => PostgresKeyStoreOptions),
    handOut = 1,
    max = 1,
  ): Promise<Opened> {
    const { url } = shop.database;
    const dataSource = dataSourceOf(url, ENTITIES, { extra: { max } });
    await dataSource.initialize();
    const options = typeof store === 'function' ? store(dataSource) : store;
    const seal = await createFieldSeal({
      application: 'shop',
      environment: 'test',
      purposes: { 'card-number': { pool: { validKeys: 4, handOut } }, 'personal-data': {} },
      keys: keyStoreSource({ store: postgresKeyStore(options), kms: awsKms(kmsOf(shop)) }),
    });
    attachFieldSeal(dataSource, seal);
    const close = async (): Promise<void> => {
      await seal.close();
      await dataSource.destroy();
    };
    return { dataSource, seal, [Symbol.asyncDispose]: close };
  }

  const poolOf = (dataSource: DataSource) =>
    (dataSource.driver as unknown as { readonly master: Pool }).master;

  it('is enough for a transaction that meets unknown keys, when the key store has one of its own', async () => {
    const pool = newPool({ connectionString: shop.database.url, max: 1 });
    await using reader = await open({ pool });
    const found = await reader.dataSource.transaction(async (manager) => {
      await manager.save(newCard());
      return manager.find(Card);
    });
    expect(found.length).toBeGreaterThanOrEqual(64);
    expect(reader.seal.stats().unwraps).toBe(3);
    await pool.end();
  });

  it('is enough for 20 transactions at a time', async () => {
    await using reader = await open({ connectionString: shop.database.url, max: 1 });
    const found = await Promise.all(
      Array.from({ length: 20 }, () =>
        reader.dataSource.transaction(async (manager) => {
          const card = await manager.save(newCard());
          return (await manager.findBy(Card, { pan: card.pan })).length;
        }),
      ),
    );
    expect(found).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('that is shared by rows and keys ends the wait for a key with an error that says so', async () => {
    await using reader = await open((dataSource) => ({ pool: poolOf(dataSource), connectTimeout: '200ms' }));
    const card = newCard();
    const load = reader.dataSource.transaction(async (manager) => {
      await manager.save(card);
      await manager.find(Card);
    });
    await expect(load).rejects.toMatchObject({
      code: 'ERR_KEY_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining('through the same pool') as string,
      cause: { code: 'ERR_STORE_UNAVAILABLE' },
    });
    expect(await reader.dataSource.manager.countBy(Card, { pan: card.pan })).toBe(0);
    await reader.dataSource.manager.save(card);
    expect((await reader.dataSource.manager.findOneByOrFail(Card, { pan: card.pan })).id).toBe(card.id);
  });

  it('more than transactions hold is enough for a pool that is shared', async () => {
    await using reader = await open((dataSource) => ({ pool: poolOf(dataSource) }), 1, 2);
    const found = await reader.dataSource.transaction((manager) => manager.find(Card));
    expect(found.length).toBeGreaterThanOrEqual(64);
  });
});
