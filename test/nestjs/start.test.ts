/** How an application with a field seal starts, and how it fails to. */
import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  getDataSourceToken,
  getRepositoryToken,
  TypeOrmModule,
  type TypeOrmModuleAsyncOptions,
} from '@nestjs/typeorm';
import { Column, DataSource, Entity, PrimaryColumn, type DataSourceOptions, type Repository } from 'typeorm';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIELD_SEAL, FieldSealModule, withFieldSeal } from '../../src/nestjs/index.js';
import { sealOf } from '../../src/typeorm/attach.js';
import { Encrypted, type AttachOptions } from '../../src/typeorm/index.js';
import { bundleScript, startScript } from '../support/index.mjs';
import { Card, Customer } from '../typeorm/entities.js';
import { isCellHiding, openShop, type Shop } from '../typeorm/shop.js';
import { fieldSealModule, settingsModule, settingsOf, start } from './app.js';

const PAN = '4929123456789015';

@Entity('notes')
class Note {
  @PrimaryColumn('int') id!: number;
  @Column('text') text!: string;
}

@Entity('letters')
class Letter {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'letters' }) text!: string;
}

let shop: Shop;
beforeAll(async () => {
  shop = await openShop({ entities: [Card, Customer] });
});
afterAll(() => shop.close());

const sealModule = (): DynamicModule => fieldSealModule(settingsOf(shop, ''));
const typeOrm = (options: TypeOrmModuleAsyncOptions, attach?: AttachOptions): DynamicModule =>
  TypeOrmModule.forRootAsync(withFieldSeal(options, attach));
const shopOptions = (): DataSourceOptions => ({
  type: 'postgres',
  url: shop.database.url,
  entities: [Card, Customer],
});
const cardOf = (pan: string): Card => Object.assign(new Card(), { pan });

describe('a data source', () => {
  it('is attached before any provider can query it, whatever is imported first', async () => {
    const firstCard = {
      provide: 'first card',
      inject: [getRepositoryToken(Card)],
      useFactory: (cards: Repository<Card>) => cards.save(cardOf(PAN)),
    };
    const app = await start({
      imports: [
        TypeOrmModule.forFeature([Card]),
        typeOrm({ useFactory: () => ({ ...shopOptions(), entities: [Customer], autoLoadEntities: true }) }),
        sealModule(),
      ],
      providers: [firstCard],
    });
    const { id } = app.get<Card>('first card');
    expect(isCellHiding((await shop.raw('cards', id)).pan, PAN)).toBe(true);
    await app.close();
  });

  it('that its factory connected already is attached, with the repositories that were made of it', async () => {
    let cards: Repository<Card> | undefined;
    const app = await start({
      imports: [
        sealModule(),
        typeOrm({
          useFactory: shopOptions,
          dataSourceFactory: async (options) => {
            const dataSource = await new DataSource(options!).initialize();
            cards = dataSource.getRepository(Card);
            return dataSource;
          },
        }),
      ],
    });
    const { id } = await cards!.save(cardOf('5555555555554444'));
    expect(isCellHiding((await shop.raw('cards', id)).pan, '5555555555554444')).toBe(true);
    expect((await cards!.findOneBy({ pan: '5555555555554444' }))?.id).toBe(id);
    await app.close();
  });

  it('has its options from a class that exists', async () => {
    class Existing {
      createTypeOrmOptions(name?: string): DataSourceOptions {
        return { ...shopOptions(), entities: name === 'named' ? [Card, Customer] : [] };
      }
    }
    const existing: DynamicModule = { module: Existing, providers: [Existing], exports: [Existing] };
    const app = await start({
      imports: [sealModule(), typeOrm({ name: 'named', imports: [existing], useExisting: Existing })],
    });
    const dataSource = app.get<DataSource>(getDataSourceToken('named'));
    expect(await dataSource.manager.countBy(Card, { pan: '378282246310005' })).toBe(0);
    await app.close();
  });

  it('is attached as the second parameter says', async () => {
    const app = await start({
      imports: [sealModule(), typeOrm({ useFactory: shopOptions }, { checkRawWhere: false })],
    });
    const cards = app.get(DataSource).getRepository(Card).createQueryBuilder('card');
    expect(await cards.where('card.pan IS NULL').getCount()).toBe(0);
    await app.close();
  });

  it('is attached at every attempt to connect', async () => {
    const attempts: DataSource[] = [];
    const app = await start({
      imports: [
        sealModule(),
        typeOrm({
          useFactory: () => ({ ...shopOptions(), retryDelay: 1 }),
          dataSourceFactory: (options) => {
            const port = attempts.length === 0 ? { url: undefined, host: '127.0.0.1', port: 1 } : {};
            attempts.push(new DataSource({ ...options!, ...port } as DataSourceOptions));
            return Promise.resolve(attempts.at(-1)!);
          },
        }),
      ],
    });
    expect(attempts.map((dataSource) => dataSource.isInitialized)).toEqual([false, true]);
    expect(await app.get(DataSource).manager.countBy(Card, { pan: '378282246310005' })).toBe(0);
    await app.close();
  });

  it('gets the field seal of its own application when two of them start at once', async () => {
    let asked = 0;
    let meet = (): void => undefined;
    const met = new Promise<void>((resolve) => (meet = resolve));
    const whenBothAsk = async (): Promise<DataSourceOptions> => {
      if ((asked += 1) === 2) meet();
      await met;
      return shopOptions();
    };
    @Module({
      imports: [
        FieldSealModule.forRootAsync({ useFactory: () => settingsOf(shop, '').seal }),
        typeOrm({ useFactory: whenBothAsk }),
      ],
    })
    class Root {}
    const silent = { logger: false, abortOnError: false } as const;
    const apps = await Promise.all([1, 2].map(() => NestFactory.createApplicationContext(Root, silent)));
    for (const app of apps) expect(sealOf(app.get(DataSource))).toBe(app.get(FIELD_SEAL));
    await Promise.all(apps.map((app) => app.close()));
  });
});

describe('the start fails', () => {
  it('with the coded error of createFieldSeal, before a data source is made', async () => {
    let made = 0;
    const settings = settingsOf(shop, '', { application: '' });
    const options = { useFactory: () => ((made += 1), shopOptions()) };
    await expect(start({ imports: [fieldSealModule(settings), typeOrm(options)] })).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'ERR_CONFIG_OPTION',
      message: expect.stringMatching(/^application: expected a name/u) as string,
    });
    expect(made).toBe(0);
  });

  it('at once when no retry can help', async () => {
    let attempts = 0;
    await expect(
      start({
        imports: [
          sealModule(),
          typeOrm({
            useFactory: () => ({ ...shopOptions(), entities: [Letter], retryDelay: 1 }),
            dataSourceFactory: (options) => {
              attempts += 1;
              return Promise.resolve(new DataSource(options!));
            },
          }),
        ],
      }),
    ).rejects.toMatchObject({ code: 'ERR_CONFIG_PURPOSE_UNKNOWN' });
    expect(attempts).toBe(1);
  });

  it('as the toRetry of the application says otherwise', async () => {
    const asked: unknown[] = [];
    const options = {
      ...({ type: 'postgres', host: '127.0.0.1', port: 1, retryDelay: 1 } as const),
      toRetry: (error: unknown) => asked.push(error) < 2,
    };
    await expect(
      start({ imports: [sealModule(), typeOrm({ useFactory: () => options })] }),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(asked.length).toBe(2);
  });

  it.each([undefined, 'audit'])(
    'when the data source %s has encrypted fields and is not attached',
    async (name) => {
      const plain = TypeOrmModule.forRoot({ ...shopOptions(), ...(name !== undefined && { name }) });
      await expect(start({ imports: [plain, sealModule()] })).rejects.toMatchObject({
        code: 'ERR_CONFIG_ORM',
        message: expect.stringContaining(
          `The DataSource '${name ?? 'default'}' has encrypted fields`,
        ) as string,
      });
    },
  );

  it('in a provider that uses such a data source before; nothing is written', async () => {
    const options = { ...shopOptions(), entities: [Customer], autoLoadEntities: true };
    const tooEarly = {
      provide: 'too early',
      inject: [getRepositoryToken(Card)],
      useFactory: (cards: Repository<Card>) => cards.save(cardOf('378282246310005')),
    };
    const imports = [TypeOrmModule.forRoot(options), TypeOrmModule.forFeature([Card]), sealModule()];
    const before = await shop.dataSource.manager.count(Card);
    await expect(start({ imports, providers: [tooEarly] })).rejects.toMatchObject({
      code: 'ERR_SEAL_NOT_ATTACHED',
    });
    expect(await shop.dataSource.manager.count(Card)).toBe(before);
  });

  it('not for a data source that has none', async () => {
    const plain = TypeOrmModule.forRoot({ ...shopOptions(), entities: [Note] });
    await (await start({ imports: [plain, sealModule()] })).close();
  });

  it('with two field seals', async () => {
    const modules = [sealModule(), sealModule(), typeOrm({ useFactory: shopOptions })];
    await expect(start({ imports: modules })).rejects.toMatchObject({
      code: 'ERR_CONFIG_ORM',
      message: expect.stringContaining('got 2') as string,
    });
  });

  it('without a field seal, and says which module is missing', async () => {
    await expect(start({ imports: [typeOrm({ useFactory: shopOptions })] })).rejects.toThrow(
      'FieldSealModule.forRootAsync()',
    );
  });
});

it('withFieldSeal refuses options that nothing makes', () => {
  expect(() => withFieldSeal({ imports: [settingsModule(settingsOf(shop, ''))] })).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_OPTION' }),
  );
});

it('withFieldSeal refuses a useFactory that gives no options', async () => {
  for (const nothing of [undefined, null]) {
    const { useFactory } = withFieldSeal({ useFactory: () => nothing as never });
    await expect(async () => useFactory!({})).rejects.toMatchObject({ code: 'ERR_CONFIG_OPTION' });
  }
});

it('a process whose application failed to start ends by itself', async () => {
  const script = await bundleScript(fileURLToPath(new URL('failing-start.ts', import.meta.url)));
  const { kms, database, keyDatabase } = shop;
  const places = {
    ...{ region: kms.region, endpoint: kms.endpoint, credentials: kms.credentials() },
    ...{ databaseUrl: database.url, keyStoreUrl: keyDatabase.url },
  };
  const started = performance.now();
  const end = await startScript(script.file, [JSON.stringify(places)]).ended;
  script.remove();
  expect(end).toMatchObject({ code: 0, signal: null, stdout: 'failed: no luck', stderr: '' });
  expect(performance.now() - started).toBeLessThan(8_000);
});
