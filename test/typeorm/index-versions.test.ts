/** Two versions of the blind index key: old rows are found, new ones are written under the new one. */
import 'reflect-metadata';
import { Entity, In, Not, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { dialect } from './databases.js';
import { openShop, reload, type Shop } from './shop.js';

@Entity('indexed_people')
class Person {
  @PrimaryColumn('int') id!: number;
  @Encrypted({
    purpose: 'personal-data',
    blindIndex: { unique: true, normalize: (mail: string) => mail.toLowerCase() },
  })
  mail!: string;
}

const withVersions = (versions: number[]) => ({
  entities: [Person],
  purposes: { 'personal-data': { index: { versions } } },
});

let first: Shop;
let both: Shop;
let second: Shop;
beforeAll(async () => {
  first = await openShop(withVersions([1]));
  await first.dataSource.manager.save([person(1, 'one@x.org'), person(2, 'two@x.org')]);
  both = await openShop({ beside: first, ...withVersions([2, 1]) });
  await both.dataSource.manager.save(person(3, 'three@x.org'));
  second = await openShop({ beside: first, ...withVersions([2]) });
});
afterAll(async () => {
  await Promise.all([both.close(), second.close()]);
  await first.close();
});

function person(id: number, mail: string): Person {
  return Object.assign(new Person(), { id, mail });
}

async function idsOf(shop: Shop, mail: unknown): Promise<number[]> {
  const people = await shop.dataSource.manager.find(Person, {
    where: { mail: mail as string },
    order: { id: 'ASC' },
  });
  return people.map(({ id }) => id);
}

describe('while both versions live', () => {
  it('rows of both are found, alone, in lists and in negations', async () => {
    expect(await idsOf(both, 'ONE@x.org')).toEqual([1]);
    expect(await idsOf(both, 'three@x.org')).toEqual([3]);
    expect(await idsOf(both, In(['two@x.org', 'three@x.org', 'nobody@x.org']))).toEqual([2, 3]);
    expect(await idsOf(both, Not('one@x.org'))).toEqual([2, 3]);
  });

  it('new rows carry the first version only', async () => {
    expect(await idsOf(first, 'three@x.org')).toEqual([]);
    expect(await idsOf(second, 'three@x.org')).toEqual([3]);
    expect(await idsOf(second, 'one@x.org')).toEqual([]);
  });

  it('a row is found and changed by its old index value, and moves to the new one', async () => {
    await both.dataSource.manager.update(Person, { mail: 'two@x.org' }, { mail: 'Two@X.org' });
    expect(await idsOf(first, 'two@x.org')).toEqual([]);
    expect(await idsOf(second, 'two@x.org')).toEqual([2]);
  });

  it('an index of another row is still refused', async () => {
    const indexes = await first.database.query('SELECT mail_bidx FROM indexed_people WHERE id = 1');
    const moved = indexes[0]!.mail_bidx;
    await first.database.query('UPDATE indexed_people SET mail_bidx = $1 WHERE id = 1', [Buffer.alloc(16)]);
    await first.database.query('UPDATE indexed_people SET mail_bidx = $1 WHERE id = 3', [moved]);
    await expect(idsOf(both, 'one@x.org')).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
    // Names that TypeORM does not escape are others than those of the query before.
    const search = () =>
      both.dataSource.manager.createQueryBuilder(Person, 'person').where({ mail: 'one@x.org' });
    for (const query of [search(), search().disableEscaping(), search()])
      await expect(query.getMany()).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
    // Nor does it help to change the builder, or to ask it for a count, while its rows are on the way.
    for (const meanwhile of [
      (query: ReturnType<typeof search>) => query.select('person.id'),
      (query: ReturnType<typeof search>) => query.disableEscaping(),
      (query: ReturnType<typeof search>) => query.getCount(),
    ]) {
      const query = search();
      const found = query.getMany();
      const other = meanwhile(query);
      await expect(found).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
      if (other instanceof Promise) await other;
    }
    await first.database.query('UPDATE indexed_people SET mail_bidx = $1 WHERE id = 3', [
      Buffer.alloc(16, 3),
    ]);
    await first.database.query('UPDATE indexed_people SET mail_bidx = $1 WHERE id = 1', [moved]);
    await both.dataSource.manager.update(Person, { id: 3 }, { mail: 'three@x.org' });
  });

  it('uniqueness holds within a version, not across', async () => {
    await expect(both.dataSource.manager.save(person(4, 'THREE@x.org'))).rejects.toThrow(dialect.unique);
    await both.dataSource.manager.save(person(4, 'one@x.org'));
    expect(await idsOf(both, 'one@x.org')).toEqual([1, 4]);
    await both.dataSource.manager.delete(Person, { id: 4 });
  });

  it('an upsert by the field is refused, since it would not see rows of the old version', async () => {
    const upsert = (shop: Shop) => shop.dataSource.manager.upsert(Person, person(5, 'one@x.org'), ['mail']);
    both.recorder.clear();
    await expect(upsert(both)).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    expect(both.recorder.of('INSERT')).toEqual([]);
    await both.dataSource.manager.upsert(Person, person(1, 'one@x.org'), ['id']);
    expect(await idsOf(both, 'one@x.org')).toEqual([1]);
  });
});

describe('after all rows were rewritten', () => {
  it('an upsert by the field works again', async () => {
    const rows = await both.dataSource.manager.find(Person);
    for (const { id, mail } of rows) await both.dataSource.manager.update(Person, { id }, { mail });
    await second.dataSource.manager.upsert(Person, person(1, 'ONE@x.org'), ['mail']);
    expect((await reload(second, Person, 1)).mail).toBe('ONE@x.org');
    expect(await second.dataSource.manager.count(Person)).toBe(3);
  });
});
