/** Whatever stands around a method of TypeORM gives it the arguments that came, and as many: libraries count them. */
import 'reflect-metadata';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { attachFieldSeal, Encrypted, type AttachOptions } from '../../src/typeorm/index.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('forwarded')
class Forwarded {
  @PrimaryColumn('int') id!: number;
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', bind: false, blindIndex: true }) pan!: string;
}

type Methods = Record<string, (...args: unknown[]) => unknown>;

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Forwarded] })));
afterAll(() => shop.close());

/** What a method is called with, which does its work meanwhile. */
async function argumentsOf(owner: object, name: string, act: () => unknown): Promise<unknown[]> {
  const spy = vi.spyOn(owner as Methods, name);
  try {
    await act();
    return [...spy.mock.calls[0]!];
  } finally {
    spy.mockRestore();
  }
}

describe('methods of builders', () => {
  type Kind = 'select' | 'insert' | 'update' | 'delete' | 'softDelete';

  it.each<[Kind, string, unknown[]]>([
    ['select', 'select', []],
    ['select', 'select', ['f.id']],
    ['select', 'select', ['f.id', 'id']],
    ['select', 'select', [undefined]],
    ['select', 'update', []],
    ['select', 'update', [{ note: 'x' }]],
    ['select', 'update', [Forwarded, { note: 'x' }]],
    ['select', 'insert', []],
    ['select', 'delete', []],
    ['select', 'softDelete', []],
    ['select', 'restore', []],
    ['select', 'where', [{ pan: '4111' }]],
    ['select', 'where', ['f.id = :id', { id: 1 }]],
    ['update', 'where', [{ pan: '4111' }]],
    ['update', 'where', ['id = :id', { id: 1 }]],
    ['update', 'andWhere', ['id = 1']],
    ['update', 'andWhere', ['id = :id', { id: 1 }]],
    ['update', 'orWhere', ['id = 1']],
    ['update', 'orWhere', ['id = :id', undefined]],
    ['update', 'whereEntity', [{ id: 1 }]],
    ['delete', 'where', [{ pan: '4111' }]],
    ['softDelete', 'where', ['id = 1', { id: 1 }]],
  ])('%s: %s(%j)', async (kind, name, args) => {
    const ours = builderOf(shop.dataSource, kind);
    const plain = builderOf(dataSourceOf(shop.database.url, []), kind);
    let owner = Object.getPrototypeOf(plain) as object;
    while (!Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object;
    expect(await argumentsOf(owner, name, () => ours[name]!(...args))).toEqual(args);
  });

  function builderOf(dataSource: DataSource, kind: Kind): Methods {
    const select = dataSource.isInitialized
      ? dataSource.createQueryBuilder(Forwarded, 'f')
      : dataSource.createQueryBuilder();
    const methods = select as unknown as Methods;
    return kind === 'select' ? methods : (methods[kind]!() as Methods);
  }
});

describe.each<[string, AttachOptions]>([
  ['', {}],
  [' with insertOnly', { insertOnly: true }],
])('methods of a data source%s', (_, options) => {
  const CALLS: readonly [name: string, args: unknown[]][] = [
    ['createQueryBuilder', []],
    ['createQueryBuilder', [undefined]],
    ['createQueryBuilder', [Forwarded, 'f']],
    ['createQueryBuilder', [Forwarded, 'f', undefined]],
    ['createQueryRunner', []],
    ['createQueryRunner', ['master']],
    ['createEntityManager', []],
    ['createEntityManager', [undefined]],
  ];

  it.each(CALLS)('%s(%j), replaced before it is attached', async (name, args) => {
    const dataSource = dataSourceOf(shop.database.url, [Forwarded]);
    const got = replace(dataSource, name);
    attachFieldSeal(dataSource, shop.seal, options);
    await expectExactly(dataSource, got, name, args);
  });

  it.each(CALLS)('%s(%j), replaced after it was attached', async (name, args) => {
    const dataSource = attachFieldSeal(dataSourceOf(shop.database.url, [Forwarded]), shop.seal, options);
    const got = replace(dataSource, name);
    await expectExactly(dataSource, got, name, args);
  });

  /** As a library does it: a method on the instance that calls the one that was there. */
  function replace(dataSource: DataSource, name: string): unknown[][] {
    const got: unknown[][] = [];
    const methods = dataSource as unknown as Methods;
    const before = methods[name]!;
    methods[name] = function (...args) {
      got.push(args);
      return before.apply(this, args);
    };
    return got;
  }

  async function expectExactly(
    dataSource: DataSource,
    got: unknown[][],
    name: string,
    args: unknown[],
  ): Promise<void> {
    await dataSource.initialize();
    try {
      got.length = 0;
      (dataSource as unknown as Methods)[name]!(...args);
      expect(got).toEqual([args]);
      expect(got[0]).toHaveLength(args.length);
    } finally {
      await dataSource.destroy();
    }
  }
});

it('a method that is put into the class of query runners later, as tools for tracing do, is called for each statement', async () => {
  const runner = shop.dataSource.createQueryRunner();
  let owner = Object.getPrototypeOf(runner) as object;
  while (!Object.hasOwn(owner, 'query')) owner = Object.getPrototypeOf(owner) as object;
  const spy = vi.spyOn(owner as Methods, 'query');
  try {
    await shop.dataSource.manager.find(Forwarded);
    expect(spy).toHaveBeenCalledOnce();
  } finally {
    spy.mockRestore();
    await runner.release();
  }
});
