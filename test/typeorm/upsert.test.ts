/** Upserts with conditions: of entities without encrypted fields as in TypeORM, of others only where they mean something. */
import 'reflect-metadata';
import { ChildEntity, Column, Entity, PrimaryColumn, TableInheritance } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { needs } from './limits.js';
import { openShop, type Shop } from './shop.js';

@Entity('animals')
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Animal {
  @PrimaryColumn('int') id!: number;
  @Column('varchar', { nullable: true }) name!: string | null;
}
@ChildEntity('cat')
class Cat extends Animal {}

@Entity('owners')
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Owner {
  @PrimaryColumn('int') id!: number;
  @Column('varchar', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) name!: string;
}
@ChildEntity('person')
class Person extends Owner {}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Animal, Cat, Owner, Person] })));
afterAll(() => shop.close());
afterEach(() => shop.recorder.clear());

const manager = () => shop.dataSource.manager;
const SKIP = { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true };
const isPostgres = databaseName === 'postgres';

describe('a child of a table of several kinds', () => {
  it('is upserted unless nothing has changed', async () => {
    await manager().upsert(Cat, { id: 1, name: 'Tom' }, SKIP);
    await manager().upsert(Cat, { id: 1, name: 'Tim' }, SKIP);
    const again = await manager().upsert(Cat, { id: 1, name: 'Tim' }, SKIP);
    if (isPostgres) expect(again.raw).toEqual([]);
    expect(await manager().findOneBy(Cat, { id: 1 })).toMatchObject({ name: 'Tim' });
  });

  it('is upserted where a condition holds', async (context) => {
    needs(context, 'an upsert with a condition of its own');
    const upsert = (name: string) =>
      manager()
        .createQueryBuilder()
        .insert()
        .into(Cat)
        .values({ id: 2, name })
        .orUpdate(['name'], ['id'], {
          overwriteCondition: { where: "animals.name <> 'Tom'" },
        });
    await upsert('Tim').execute();
    await upsert('Tom').execute();
    await upsert('Jim').execute();
    expect(await manager().findOneBy(Cat, { id: 2 })).toMatchObject({ name: 'Tom' });
  });

  it('keeps its encrypted fields where an upsert writes others', async () => {
    await manager().save(Object.assign(new Person(), { id: 1, name: 'Ada', note: 'old' }));
    const builder = manager().createQueryBuilder().insert().into(Person);
    const upsert = builder.values({ id: 1, name: 'Eve', note: 'new' });
    await upsert.orUpdate(['note'], ['id'], { skipUpdateIfNoValuesChanged: true }).execute();
    expect(await manager().findOneBy(Person, { id: 1 })).toMatchObject({ name: 'Ada', note: 'new' });
  });
});

it('is refused to skip rows by comparing cells, which differ although their values are equal', async () => {
  await expect(manager().upsert(Owner, { id: 2, name: 'Ada' }, SKIP)).rejects.toMatchObject({
    code: 'ERR_QUERY_UNSUPPORTED',
    message: expect.stringMatching(/skipUpdateIfNoValuesChanged.*save\(\)/u) as string,
  });
  expect(shop.recorder.of('INSERT')).toEqual([]);
});
