/** Transactions that a service does not pass on, with the libraries that Nest applications have for them. */
import { Injectable, type DynamicModule } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import {
  ClsPluginTransactional,
  InjectTransaction,
  Transactional as ClsTransactional,
  TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { ClsModule } from 'nestjs-cls';
import { DataSource, type EntityManager } from 'typeorm';
import {
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  StorageDriver,
  Transactional,
} from 'typeorm-transactional';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withFieldSeal } from '../../src/nestjs/index.js';
import { Card, Customer } from '../typeorm/entities.js';
import { isCellHiding, openShop, type Shop } from '../typeorm/shop.js';
import { fieldSealModule, settingsModule, Settings, settingsOf, start } from './app.js';

const OLD = '4929123456789015';
const NEW = '5555555555554444';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());

/** Changes one card in two statements, of which the second may fail. */
interface Changes {
  change(id: string, fail: boolean): Promise<void>;
}

@Injectable()
class ClsChanges implements Changes {
  constructor(
    private readonly host: TransactionHost<TransactionalAdapterTypeOrm>,
    @InjectTransaction() private readonly proxy: EntityManager,
  ) {}

  @ClsTransactional()
  async change(id: string, fail: boolean): Promise<void> {
    await this.host.tx.update(Card, { pan: OLD }, { pan: NEW });
    await this.proxy.createQueryBuilder().update(Card).set({ note: 'changed' }).where({ id }).execute();
    expect(await this.proxy.findOneByOrFail(Card, { pan: NEW })).toMatchObject({ id, note: 'changed' });
    expect(await this.host.tx.getRepository(Card).findOneBy({ pan: OLD })).toBeNull();
    if (fail) throw new Error('back');
  }
}

@Injectable()
class TypeormChanges implements Changes {
  constructor(private readonly dataSource: DataSource) {}

  @Transactional()
  async change(id: string, fail: boolean): Promise<void> {
    await this.dataSource.getRepository(Card).update({ pan: OLD }, { pan: NEW });
    await this.dataSource.createQueryBuilder().update(Card).set({ note: 'changed' }).where({ id }).execute();
    expect(await this.dataSource.manager.findOneByOrFail(Card, { pan: NEW })).toMatchObject({ id });
    if (fail) throw new Error('back');
  }
}

const database = (settings: Settings, isTransactional = false): DynamicModule =>
  TypeOrmModule.forRootAsync(
    withFieldSeal({
      imports: [settingsModule(settings)],
      inject: [Settings],
      useFactory: ({ shopUrl }: Settings) => ({
        type: 'postgres',
        url: shopUrl,
        entities: [Card, Customer],
      }),
      dataSourceFactory: (options) => {
        const dataSource = new DataSource(options!);
        return Promise.resolve(isTransactional ? addTransactionalDataSource(dataSource) : dataSource);
      },
    }),
  );

const cls = (): DynamicModule =>
  ClsModule.forRoot({
    plugins: [
      new ClsPluginTransactional({
        adapter: new TransactionalAdapterTypeOrm({ dataSourceToken: getDataSourceToken() }),
        enableTransactionProxy: true,
      }),
    ],
  });

interface Place {
  readonly imports: (settings: Settings) => DynamicModule[];
  readonly service: new (...args: never[]) => Changes;
}

describe.each<[string, Place]>([
  [
    'the transactional plug-in of nestjs-cls, imported first',
    { imports: (settings) => [cls(), database(settings)], service: ClsChanges },
  ],
  [
    'the transactional plug-in of nestjs-cls, imported last',
    { imports: (settings) => [database(settings), cls()], service: ClsChanges },
  ],
  ['typeorm-transactional', { imports: (settings) => [database(settings, true)], service: TypeormChanges }],
])('%s', (_, { imports, service }) => {
  let changes: Changes;
  let close: () => Promise<void>;
  beforeAll(async () => {
    initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });
    const settings = settingsOf(shop, shop.database.url);
    const app = await start({
      imports: [fieldSealModule(settings), ...imports(settings)],
      providers: [service],
    });
    changes = app.get<Changes>(service);
    close = () => app.close();
  });
  afterAll(async () => {
    await close();
    deleteDataSourceByName('default');
  });

  let id: string;
  beforeEach(async () => {
    await shop.database.query('DELETE FROM cards');
    id = (await shop.dataSource.manager.save(Object.assign(new Card(), { pan: OLD }))).id;
  });

  it('commits what was sealed and written in it', async () => {
    await changes.change(id, false);
    const stored = await shop.raw('cards', id);
    expect(stored.note).toBe('changed');
    expect(isCellHiding(stored.pan, NEW)).toBe(true);
  });

  it('rolls all of it back', async () => {
    const before = await shop.raw('cards', id);
    await expect(changes.change(id, true)).rejects.toThrow('back');
    expect(await shop.raw('cards', id)).toEqual(before);
  });
});
