/** Values of another realm (vm contexts, test runners) have other constructors, and are values like others. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { createContext, runInContext } from 'node:vm';
import { Column, Entity, In, PrimaryColumn } from 'typeorm';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { Declaration } from '../../src/typeorm/declaration.js';
import { dialect } from './databases.js';
import { openShop, reload, type Shop } from './shop.js';

class Place {
  @Column('int') floor!: number;
}

@Entity('foreign_values')
class Foreign {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column(() => Place) place!: Place;
  @Column({ type: dialect.bytes, ...(dialect.bytes === 'varbinary' && { length: 8 }) }) token!: Uint8Array;
  @Encrypted({ purpose: 'personal-data', type: 'date', blindIndex: true, nullable: true }) born!: Date | null;
  @Encrypted({ purpose: 'personal-data', type: 'json', nullable: true }) extra!: unknown;
  @Encrypted({ purpose: 'personal-data', type: 'bytes', nullable: true }) photo!: Uint8Array | null;
  @Encrypted({ purpose: 'personal-data', bind: ['token'], nullable: true }) secret!: string | null;
  @Encrypted({ purpose: 'personal-data', bind: ['place.floor'], nullable: true }) placed!: string | null;
}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Foreign] })));
afterAll(() => shop.close());
afterEach(() => shop.recorder.clear());

const realm = createContext({});
const foreign = (code: string): unknown => runInContext(code, realm);
const manager = () => shop.dataSource.manager;

const newRow = (): Foreign =>
  Object.assign(new Foreign(), {
    place: foreign('({ floor: 3 })') as Place,
    token: Buffer.from('token'),
    born: foreign('new Date(86400000)') as Date,
    extra: foreign('({ list: [{ b: 1, a: 2 }] })'),
    photo: foreign('Uint8Array.of(1, 2, 3)') as Uint8Array,
    secret: 'secret',
    placed: 'placed',
  });

it('are stored, found and opened', async () => {
  const { id, born } = await manager().save(newRow());
  expect(born).not.toBeInstanceOf(Date);
  const found = await manager().findOneByOrFail(Foreign, { born: born!, id });
  expect(found).toMatchObject({ born: new Date(86_400_000), extra: { list: [{ b: 1, a: 2 }] } });
  expect(Buffer.from(found.photo!)).toEqual(Buffer.of(1, 2, 3));
});

it('are no change where the row holds an equal value', async () => {
  const { id } = await manager().save(newRow());
  const loaded = await reload(shop, Foreign, id);
  shop.recorder.clear();
  const { born, extra, photo } = newRow();
  await manager().save(Object.assign(loaded, { born, extra, photo }));
  expect(shop.recorder.of('UPDATE')).toEqual([]);
});

it('pin the row of a bound field, within embedded objects too', async () => {
  const row = await manager().save(newRow());
  shop.recorder.clear();
  const where = (
    foreign('(id, one) => ({ id, place: { floor: one } })') as (id: string, one: unknown) => object
  )(row.id, In([3]));
  await shop.dataSource.createQueryBuilder().update(Foreign).set({ placed: 'new' }).where(where).execute();
  // Criteria that tell the bound value spare the statement that would read it.
  expect(shop.recorder.of('SELECT')).toEqual([]);
  expect((await reload(shop, Foreign, row.id)).placed).toBe('new');
});

it.each([
  ['Date', 'date'],
  ['Uint8Array', 'bytes'],
  ['BigInt', 'bigint'],
])('give a property its type: %s', (constructor, type) => {
  const declared = new Declaration({ purpose: 'personal-data' }, 'Foreign.x', foreign(constructor));
  expect(declared.options.type).toBe(type);
});
