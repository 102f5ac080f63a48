/** Cells bound to columns of every type that has one exact form. */
import 'reflect-metadata';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { dialect } from './databases.js';
import { isAbleTo } from './limits.js';
import { openShop, reload, type Shop } from './shop.js';

const ALL_INTEGERS = isAbleTo('integers beyond 2^53');
const BEYOND = '9007199254740993';

@Entity('bound_to_all')
class BoundToAll {
  @PrimaryColumn('bigint') id!: string;
  @Column() active!: boolean;
  @Column('boolean') checked!: boolean;
  @Column() tenant!: string;
  @Column('text') region!: string;
  @Column() age!: number;
  @Column('smallint') floor!: number;
  @Column('uuid') owner!: string;
  @Column(dialect.bytes as 'bytea') tag!: Buffer;
  @Encrypted({
    purpose: 'personal-data',
    bind: ['id', 'active', 'checked', 'tenant', 'region', 'age', 'floor', 'owner', 'tag'],
  })
  secret!: string;
}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [BoundToAll] })));
afterAll(() => shop.close());

const entity = (id: string, active: boolean): BoundToAll =>
  Object.assign(new BoundToAll(), {
    id,
    active,
    checked: !active,
    tenant: 'Zażółć',
    region: '',
    age: -7,
    floor: 0,
    owner: '6F9619FF-8B86-D011-B42D-00CF4FC964FF',
    tag: Buffer.from([0, 255]),
    secret: `secret ${id}`,
  });

describe('bound columns', () => {
  it.each([
    [ALL_INTEGERS ? BEYOND : '9007199254740991', true],
    ['-1', false],
  ])('round trip for id %s', async (id, active) => {
    await shop.dataSource.manager.save(entity(id, active));
    const loaded = await reload(shop, BoundToAll, id);
    expect(loaded.secret).toBe(`secret ${id}`);
    shop.recorder.clear();
    await shop.dataSource.manager.save(loaded);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  if (!ALL_INTEGERS) {
    it('an integer that the driver would not give back is refused', async () => {
      await expect(shop.dataSource.manager.save(entity(BEYOND, true))).rejects.toMatchObject({
        code: 'ERR_SEAL_BINDING',
      });
    });
  }

  it.each<[string, unknown]>([
    ['active', false],
    ['checked', true],
    ['tenant', 'Zażółć '],
    ['region', 'x'],
    ['age', -6],
    ['floor', 1],
    ['owner', '00000000-0000-4000-8000-000000000000'],
    ['tag', Buffer.from([0])],
  ])('a changed %s makes the cell unreadable', async (column, changed) => {
    await shop.dataSource.manager.save(entity('42', true));
    await shop.tamper('bound_to_all', '42', { [column]: changed });
    await expect(reload(shop, BoundToAll, '42')).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
    await shop.database.query('DELETE FROM bound_to_all WHERE id = 42');
  });
});
