/** Shapes of entities: embedded twice, single-table inheritance, eager relations, soft deletion. */
import 'reflect-metadata';
import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  TableInheritance,
  UpdateDateColumn,
  VersionColumn,
  type Relation,
} from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { openShop, type Shop } from './shop.js';

class Holder {
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) name!: string;
  @Column('text', { nullable: true }) nick!: string | null;
}
@Entity('accounts')
class Account {
  @PrimaryColumn('int') id!: number;
  @Column(() => Holder) holder!: Holder;
  @Column(() => Holder, { prefix: 'second' }) second!: Holder;
  @DeleteDateColumn() gone!: Date | null;
  @VersionColumn() version!: number;
  @UpdateDateColumn() updated!: Date;
  @OneToMany(() => Note, (n) => n.account, { eager: true, cascade: true }) notes!: Relation<Note[]>;
}
@Entity('notes')
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Note {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) text!: string;
  @ManyToOne(() => Account, (a) => a.notes) account!: Relation<Account>;
}
@ChildEntity('secret')
class SecretNote extends Note {
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) hint!: string;
}
let shop: Shop;
beforeAll(async () => {
  shop = await openShop({ entities: [Account, Note, SecretNote] });
  const { manager } = shop.dataSource;
  const account = manager.create(Account, {
    id: 1,
    holder: { name: 'Ada shape-secret', nick: 'a' },
    second: { name: 'Bob shape-secret', nick: null },
  });
  account.notes = [
    manager.create(SecretNote, { id: 1, text: 'first shape-secret', hint: 'hint shape-secret' }),
    manager.create(Note, { id: 2, text: 'second shape-secret' }),
  ];
  await manager.save(account);
});
afterAll(() => shop.close());

const manager = () => shop.dataSource.manager;

it('loads embedded, inherited and eager values', async () => {
  const account = await manager().findOneByOrFail(Account, { id: 1 });
  expect(account.holder).toEqual({ name: 'Ada shape-secret', nick: 'a' });
  expect(account.second).toEqual({ name: 'Bob shape-secret', nick: null });
  expect(account.notes.map(({ text }) => text).sort()).toEqual(['first shape-secret', 'second shape-secret']);
  expect(account.notes.find(({ id }) => id === 1)).toMatchObject({ hint: 'hint shape-secret' });
});

it('searches each of two embedded objects by its own index', async () => {
  expect(await manager().countBy(Account, { holder: { name: 'Ada shape-secret' } })).toBe(1);
  expect(await manager().countBy(Account, { second: { name: 'Ada shape-secret' } })).toBe(0);
  expect(await manager().countBy(SecretNote, { hint: 'hint shape-secret' })).toBe(1);
});

it('updates one embedded value and leaves the other alone', async () => {
  const account = await manager().findOneByOrFail(Account, { id: 1 });
  account.holder.name = 'Augusta shape-secret';
  await manager().save(account);
  await manager().update(
    Account,
    { holder: { name: account.holder.name } },
    { second: { name: 'Carl shape-secret' } },
  );
  const changed = await manager().findOneByOrFail(Account, { id: 1 });
  expect([changed.holder.name, changed.second]).toEqual([
    'Augusta shape-secret',
    { name: 'Carl shape-secret', nick: null },
  ]);
  shop.recorder.clear();
  await manager().save(changed);
  expect(shop.recorder.of('UPDATE')).toEqual([]);
});

it('leaves an embedded value that a set gives as undefined, its siblings too', async () => {
  const before = await shop.raw('accounts', 1);
  await manager().update(Account, 1, { holder: { name: undefined, nick: 'b' } } as object);
  await manager().update(Account, 1, { second: { name: undefined } } as object);
  const after = await shop.raw('accounts', 1);
  expect(after).toMatchObject({ holderNick: 'b' });
  for (const column of ['holderName', 'holderName_key', 'holderName_bidx', 'secondName', 'secondName_key'])
    expect([column, after[column]]).toEqual([column, before[column]]);
});

it.each<[string, object]>([
  ['from the row on', { 'holder.name': 'Eve shape-secret' }],
  ['with other values', { 'holder.name': 'Eve shape-secret', holder: { nick: 'c' } }],
])('refuses a value under a path in text, for which NULL would be written, %s', async (_, set) => {
  const before = await shop.raw('accounts', 1);
  shop.recorder.clear();
  await expect(manager().update(Account, 1, set)).rejects.toMatchObject({
    code: 'ERR_QUERY_UNSUPPORTED',
    message: expect.stringMatching(/holder\.name.*\{ holder: \{ name: … \} \}/u) as string,
  });
  expect(shop.recorder.of('UPDATE')).toEqual([]);
  expect(await shop.raw('accounts', 1)).toEqual(before);
});

it('finds through relations, by join, by query and with take', async () => {
  const byQuery = await manager().find(Note, {
    relations: { account: true },
    take: 2,
    relationLoadStrategy: 'query',
  });
  expect(byQuery.map(({ account }) => account.holder.name)).toEqual([
    'Augusta shape-secret',
    'Augusta shape-secret',
  ]);
  const [joined] = await manager()
    .createQueryBuilder(Note, 'note')
    .leftJoinAndSelect('note.account', 'account')
    .where({ account: { holder: { name: 'Augusta shape-secret' } } })
    .take(1)
    .getMany();
  expect(joined?.account.second.name).toBe('Carl shape-secret');
});

it('soft-deletes, restores and deletes by an encrypted field', async () => {
  await manager().softDelete(Account, { holder: { name: 'Augusta shape-secret' } });
  expect(await manager().countBy(Account, { id: 1 })).toBe(0);
  await manager().restore(Account, { holder: { name: 'Augusta shape-secret' } });
  expect(await manager().countBy(Account, { id: 1 })).toBe(1);
  await manager().remove(await manager().find(Note));
  await manager().delete(Account, { second: { name: 'Carl shape-secret' } });
  expect(await manager().count(Account)).toBe(0);
});

it('sends no plaintext for any of it', () => {
  expect(shop.recorder.statements.length).toBeGreaterThan(0);
  expect(shop.recorder.lines.join('\n')).not.toContain('shape-secret');
});
