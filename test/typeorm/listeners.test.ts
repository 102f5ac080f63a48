/** Behaviour rows 10 and 17: subscribers and listeners of the application, soft removal, preload, merge, reload. */
import 'reflect-metadata';
import {
  AfterInsert,
  AfterLoad,
  AfterUpdate,
  BeforeInsert,
  BeforeUpdate,
  Column,
  DeleteDateColumn,
  Entity,
  EventSubscriber,
  PrimaryColumn,
  type EntitySubscriberInterface,
  type InsertEvent,
  type UpdateEvent,
} from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { isCellHiding, openShop, reload, type Shop } from './shop.js';

/** What hooks have seen in the encrypted field, in order. */
const seen: string[] = [];

@Entity('watched')
class Watched {
  @PrimaryColumn('int') id!: number;
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) secret!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true }) stamp!: string | null;
  @DeleteDateColumn() gone!: Date | null;

  @BeforeInsert() @BeforeUpdate() stampIt(): void {
    this.stamp = `stamp of ${this.secret}`;
  }
  @AfterInsert() @AfterUpdate() afterWrite(): void {
    seen.push(`written ${this.secret}`);
  }
  @AfterLoad() afterLoad(): void {
    seen.push(`loaded ${this.secret}`);
  }
}

@Entity('subscribed')
class Subscribed {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) secret!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true }) other!: string | null;
}

@EventSubscriber()
class Subscriber implements EntitySubscriberInterface<Subscribed> {
  listenTo(): typeof Subscribed {
    return Subscribed;
  }
  beforeInsert({ entity }: InsertEvent<Subscribed>): void {
    entity.secret = entity.secret.toUpperCase();
  }
  afterInsert({ entity }: InsertEvent<Subscribed>): void {
    seen.push(`inserted ${entity.secret}`);
  }
  beforeUpdate({ entity, databaseEntity, updatedColumns }: UpdateEvent<Subscribed>): void {
    entity!.other = 'set by subscriber';
    // update() has none, whatever the type says.
    if ((databaseEntity as Subscribed | undefined) !== undefined) {
      const names = updatedColumns.map(({ propertyName }) => propertyName).join();
      seen.push(`updating ${databaseEntity.secret} to ${String(entity!.secret)} in ${names}`);
    }
  }
  afterUpdate({ entity }: UpdateEvent<Subscribed>): void {
    seen.push(`updated ${String(entity?.secret)}`);
  }
  afterLoad(entity: Subscribed): void {
    seen.push(`loaded ${entity.secret}`);
  }
}

let shop: Shop;
let nextId = 0;
beforeAll(async () => {
  shop = await openShop({ entities: [Watched, Subscribed], options: { subscribers: [Subscriber] } });
});
afterAll(() => shop.close());
beforeEach(() => {
  seen.length = 0;
});

const manager = () => shop.dataSource.manager;
const watched = (secret: string): Promise<Watched> =>
  manager().save(manager().create(Watched, { id: ++nextId, secret }));

describe('17 listeners of an entity', () => {
  it('see plaintext, and what they set is sealed', async () => {
    const { id } = await watched('one hook-secret');
    const loaded = await reload(shop, Watched, id);
    expect(loaded.stamp).toBe('stamp of one hook-secret');
    expect(isCellHiding((await shop.raw('watched', id)).stamp, 'stamp of')).toBe(true);
    loaded.secret = 'two hook-secret';
    await manager().save(loaded);
    expect((await reload(shop, Watched, id)).stamp).toBe('stamp of two hook-secret');
    expect(new Set(seen)).toEqual(
      new Set([
        'written one hook-secret',
        'loaded one hook-secret',
        'written two hook-secret',
        'loaded two hook-secret',
      ]),
    );
  });
});

describe('17 subscribers of the application', () => {
  it('see plaintext, and what they set is sealed, in save', async () => {
    const saved = await manager().save(manager().create(Subscribed, { id: 1, secret: 'abc' }));
    expect(saved.secret).toBe('ABC');
    const loaded = await reload(shop, Subscribed, 1);
    loaded.secret = 'DEF';
    await manager().save(loaded);
    expect(await reload(shop, Subscribed, 1)).toEqual({ id: 1, secret: 'DEF', other: 'set by subscriber' });
    expect(seen.filter((line) => !line.startsWith('loaded'))).toEqual([
      'inserted ABC',
      'updating ABC to DEF in secret',
      'updated DEF',
    ]);
    expect(new Set(seen.filter((line) => line.startsWith('loaded')))).toEqual(
      new Set(['loaded ABC', 'loaded DEF']),
    );
    const row = await shop.raw('subscribed', 1);
    expect(isCellHiding(row.secret, 'DEF') && isCellHiding(row.other, 'set by')).toBe(true);
  });

  it('see plaintext, and what they set is sealed, in insert and update', async () => {
    await manager().insert(Subscribed, { id: 2, secret: 'ghi' });
    expect((await reload(shop, Subscribed, 2)).secret).toBe('GHI');
    await manager().update(Subscribed, { id: 2 }, { secret: 'jkl' });
    expect(await reload(shop, Subscribed, 2)).toEqual({ id: 2, secret: 'jkl', other: 'set by subscriber' });
    expect(isCellHiding((await shop.raw('subscribed', 2)).other, 'set by')).toBe(true);
    expect(seen).toContain('inserted GHI');
    expect(seen).toContain('updated jkl');
  });
});

describe('17 objects that are put together', () => {
  it('preload takes the row and what is new, and saves only that', async () => {
    const { id } = await watched('before hook-secret');
    const preloaded = await manager().preload(Watched, { id, secret: 'after hook-secret' });
    expect(preloaded).toMatchObject({ id, note: null, secret: 'after hook-secret' });
    await manager().save(preloaded!);
    expect((await reload(shop, Watched, id)).secret).toBe('after hook-secret');
    const unchanged = await manager().preload(Watched, { id, note: 'only this' });
    const before = await shop.raw('watched', id);
    await manager().save(unchanged!, { listeners: false });
    expect(await shop.raw('watched', id)).toEqual({ ...before, note: 'only this' });
  });

  it('merge and create copy values', async () => {
    const original = await watched('merged hook-secret');
    const merged = manager().merge(Watched, manager().create(Watched), original, { id: ++nextId });
    await manager().save(merged);
    expect((await reload(shop, Watched, merged.id)).secret).toBe('merged hook-secret');
    const [one, two] = [await shop.raw('watched', original.id), await shop.raw('watched', merged.id)];
    expect(one.secret_bidx).toEqual(two.secret_bidx);
    expect(one.secret).not.toEqual(two.secret);
  });

  it('a row that was loaded again has the value of the other writer', async () => {
    const mine = await watched('mine hook-secret');
    await manager().update(Watched, { id: mine.id }, { secret: 'theirs hook-secret' });
    expect((await reload(shop, Watched, mine.id)).secret).toBe('theirs hook-secret');
    mine.note = 'whole object';
    await manager().save(mine);
    expect((await reload(shop, Watched, mine.id)).secret).toBe('mine hook-secret');
  });
});

describe('10 entities that are removed', () => {
  it('softRemove and recover leave the cell as it is', async () => {
    const entity = await watched('soft hook-secret');
    const { gone, ...before } = await shop.raw('watched', entity.id);
    expect(gone).toBeNull();
    await manager().softRemove(entity);
    expect([entity.secret, entity.gone instanceof Date]).toEqual(['soft hook-secret', true]);
    expect(await manager().findOneBy(Watched, { secret: 'soft hook-secret' })).toBeNull();
    const deleted = await manager().findOneOrFail(Watched, { where: { id: entity.id }, withDeleted: true });
    expect(deleted.secret).toBe('soft hook-secret');
    expect(await shop.raw('watched', entity.id)).toMatchObject(before);
    await manager().recover(deleted);
    expect((await manager().findOneByOrFail(Watched, { secret: 'soft hook-secret' })).gone).toBeNull();
    expect(await shop.raw('watched', entity.id)).toEqual({ ...before, gone: null });
  });

  it('remove takes the row with its siblings and leaves the plaintext on the object', async () => {
    const entity = await watched('removed hook-secret');
    const { id } = entity;
    await manager().remove(entity);
    expect(entity.secret).toBe('removed hook-secret');
    expect(await shop.raw('watched', id)).toBeUndefined();
  });

  it('softDelete, restore and delete find their rows by the encrypted field', async () => {
    const { id } = await watched('criteria hook-secret');
    const criteria = { secret: 'criteria hook-secret' };
    expect((await manager().softDelete(Watched, criteria)).affected).toBe(1);
    expect((await manager().restore(Watched, criteria)).affected).toBe(1);
    expect(
      (await manager().createQueryBuilder().softDelete().from(Watched).where(criteria).execute()).affected,
    ).toBe(1);
    expect((await manager().delete(Watched, criteria)).affected).toBe(1);
    expect(await shop.raw('watched', id)).toBeUndefined();
  });
});

it('sends no plaintext for any of it', () => {
  expect(shop.recorder.statements.length).toBeGreaterThan(0);
  expect(shop.recorder.lines.join('\n')).not.toMatch(/hook-secret|set by subscriber/u);
});
