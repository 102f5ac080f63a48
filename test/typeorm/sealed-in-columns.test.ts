/** A sealed value in columns without encryption, which TypeORM turns into text or bits before anything is sent. */
import 'reflect-metadata';
import { Column, Entity, PrimaryColumn, type ObjectLiteral } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted, type Sealed } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { openShop, type Shop } from './shop.js';

/** A copy of what a row said, as audit logs and outboxes keep it, in an entity that encrypts nothing. */
@Entity('copies')
class Copy {
  @PrimaryColumn('int') id!: number;
  @Column(databaseName === 'postgres' ? 'jsonb' : 'json', { nullable: true }) json!: unknown;
  @Column('simple-json', { nullable: true }) simple!: unknown;
  @Column('simple-array', { nullable: true }) list!: unknown;
  @Column('simple-enum', { enum: ['first', '[sealed]'], nullable: true }) word!: unknown;
  @Column({ type: Boolean, nullable: true }) flag!: unknown;
  @Column('varchar', {
    nullable: true,
    transformer: {
      to: (value: unknown) => (Array.isArray(value) ? value.join(',') : value),
      from: (value: string | null) => value?.split(','),
    },
  })
  text!: unknown;
}

@Entity('originals')
class Original {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'card-number', bind: false }) pan!: string;
  @Column('simple-json', { nullable: true }) meta!: unknown;
}

let shop: Shop;
let sealed: Sealed;
beforeAll(async () => {
  shop = await openShop({ entities: [Copy, Original], attach: { onUnopenable: 'sealed' } });
  await shop.dataSource.getRepository(Original).insert({ id: 1, pan: '4111', meta: { a: 1 } });
  await shop.dataSource.getRepository(Copy).insert({ id: 1, simple: { a: 1 }, text: ['first'] });
  await shop.tamper('originals', 1, { pan: Buffer.alloc(40, 0xf5) });
  sealed = (await original()).pan as unknown as Sealed;
});
afterAll(() => shop.close());

const original = () => shop.dataSource.getRepository(Original).findOneByOrFail({ id: 1 });
const copies = () => shop.dataSource.getRepository<ObjectLiteral>(Copy);
const closed = { code: 'ERR_SEAL_TYPE', message: expect.stringContaining('originals.pan') as string };

const WRITES: readonly (readonly [string, (values: object) => Promise<unknown>])[] = [
  ['insert', (values) => copies().insert({ id: 2, ...values })],
  ['update', (values) => copies().update({ id: 1 }, values)],
  ['save', (values) => copies().save({ id: 1, ...values })],
  ['save of a new row', (values) => copies().save({ id: 3, ...values })],
  ['upsert', (values) => copies().upsert({ id: 1, ...values }, ['id'])],
];

describe.each(WRITES)('%s', (_, write) => {
  it.each<[string, () => object]>([
    ['JSON', () => ({ json: sealed })],
    ['an object in JSON', () => ({ json: { old: { pan: sealed } } })],
    ['a list in JSON', () => ({ json: [1, [sealed]] })],
    ['simple-json', () => ({ simple: sealed })],
    ['an object in simple-json', () => ({ simple: { pan: sealed } })],
    ['far down in simple-json', () => ({ simple: nested(sealed, 200) })],
    ['simple-array', () => ({ list: ['first', sealed] })],
    ['simple-enum', () => ({ word: sealed })],
    ['a boolean', () => ({ flag: sealed })],
    ['a column with a transformer', () => ({ text: sealed })],
    ['a value that a transformer prints', () => ({ text: [sealed] })],
  ])('refuses it as %s', async (_column, values) => {
    await expect(write(values())).rejects.toMatchObject(closed);
    expect(await shop.rawRows('copies')).toMatchObject([{ id: 1, text: 'first', flag: null }]);
  });

  it('refuses an entity that holds one', async () => {
    const simple = await original();
    await expect(write({ simple })).rejects.toMatchObject(closed);
  });
});

it('refuses it beside the encrypted field that it comes from', async () => {
  const { manager } = shop.dataSource;
  await expect(manager.update(Original, 1, { meta: { pan: sealed } })).rejects.toMatchObject(closed);
  await expect(
    manager.save(Object.assign(await original(), { meta: { pan: sealed } })),
  ).rejects.toMatchObject(closed);
  expect(await original()).toMatchObject({ meta: { a: 1 } });
});

it('saves the other columns of an entity that holds one', async () => {
  await shop.dataSource.manager.save(Object.assign(await original(), { meta: { a: 1, b: 2 } }));
  expect(await original()).toMatchObject({ meta: { a: 1, b: 2 } });
  await shop.dataSource.manager.update(Original, 1, { meta: { a: 1 } });
});

it('refuses it inside a parameter of raw SQL, in an object, an entity or a list of them', async () => {
  const { dataSource } = shop;
  for (const value of [{ pan: sealed }, { a: [{ pan: sealed }] }, await original(), [{ pan: sealed }]]) {
    await expect(dataSource.query('SELECT 1', [value])).rejects.toMatchObject(closed);
  }
  expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

it('still prints in what an application answers, after a refusal too', async () => {
  await expect(copies().insert({ id: 2, json: sealed })).rejects.toMatchObject(closed);
  expect(JSON.stringify(await original())).toBe('{"id":1,"pan":"[sealed]","meta":{"a":1}}');
  expect(String(sealed)).toBe('[sealed]');
});

it('leaves what else is stored as JSON alone', async () => {
  const json = { at: new Date(0), list: [1, null, 'x'], own: { toJSON: () => 'own' } };
  await copies().insert({ id: 9, json, list: ['a', 'b'], word: 'first', flag: true });
  expect(await copies().findOneBy({ id: 9 })).toMatchObject({
    json: { at: '1970-01-01T00:00:00.000Z', list: [1, null, 'x'], own: 'own' },
    list: ['a', 'b'],
    word: 'first',
    flag: true,
  });
  await copies().delete(9);
});

const nested = (value: unknown, depth: number): unknown =>
  depth === 0 ? value : { in: nested(value, depth - 1) };
