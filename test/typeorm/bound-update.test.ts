/** Behaviour row 21: cells bound to other columns of their row, in updates that do not name those. */
import 'reflect-metadata';
import { Column, Entity, In, PrimaryColumn, type QueryRunner, type UpdateQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { needs } from './limits.js';
import { openShop, reload, type Shop } from './shop.js';

class Place {
  @Column('text') zone!: string;
  @Encrypted({ purpose: 'personal-data', bind: ['zone'] }) code!: string;
}

@Entity('tenancies')
class Tenancy {
  @PrimaryColumn('int') id!: number;
  @Column('text') tenant!: string;
  @Column('bigint') shard!: string;
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true, bind: ['tenant', 'shard'] }) secret!: string;
  @Encrypted({ purpose: 'personal-data', nullable: true, bind: ['id'] }) byId!: string | null;
  @Column(() => Place) place!: Place;
}

/** Selects the transactions of this database that wait for a row. */
const WAITING =
  databaseName === 'mariadb'
    ? "SELECT trx_id FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()"
    : "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

let shop: Shop;
let nextId = 0;
beforeAll(async () => (shop = await openShop({ entities: [Tenancy] })));
afterAll(() => shop.close());
beforeEach(() => shop.recorder.clear());

const manager = () => shop.dataSource.manager;

async function newRow(more: Partial<Tenancy> = {}): Promise<Tenancy> {
  const id = ++nextId;
  const place = { zone: `zone ${id}`, code: `code ${id}` };
  const row = { id, tenant: 'a', shard: '0', secret: `secret ${id}`, byId: `by ${id}`, place, ...more };
  return reload(shop, Tenancy, (await manager().save(Tenancy, row)).id);
}

const found = (id: number) => reload(shop, Tenancy, id);

describe('21 an update that does not tell what its cells are bound to', () => {
  it('by save reads it from the row', async () => {
    const row = await newRow();
    row.secret = 'saved';
    row.place.code = 'placed';
    await manager().save(row);
    expect(await found(row.id)).toEqual(row);
  });

  it('by id, by query builder and by another column reads it from the one row that matches', async () => {
    const row = await newRow({ note: 'only one' });
    await manager().update(Tenancy, row.id, { secret: 'by id' });
    expect((await found(row.id)).secret).toBe('by id');
    await manager().update(Tenancy, { note: 'only one' }, { byId: 'by note', secret: 'too' });
    expect(await found(row.id)).toMatchObject({ byId: 'by note', secret: 'too' });
    await shop.dataSource
      .createQueryBuilder()
      .update(Tenancy)
      .set({ place: { code: 'by sql' } })
      .where('note = :note AND (id = :id OR id = 0)', { note: 'only one', id: row.id })
      .execute();
    expect((await found(row.id)).place.code).toBe('by sql');
    await manager().update(Tenancy, { secret: 'too' }, { secret: 'by secret' });
    expect((await found(row.id)).secret).toBe('by secret');
  });

  it('writes all rows that are bound to the same values', async () => {
    const rows = [await newRow({ tenant: 'same' }), await newRow({ tenant: 'same' })];
    const ids = rows.map(({ id }) => id);
    const { affected } = await manager().update(Tenancy, { id: In(ids) }, { secret: 'shared' });
    expect(affected).toBe(2);
    for (const id of ids) expect((await found(id)).secret).toBe('shared');
  });

  it('is refused when the rows that match differ, and nothing is written', async () => {
    const rows = [
      await newRow({ note: 'differ', tenant: 'a' }),
      await newRow({ note: 'differ', tenant: 'b' }),
    ];
    for (const set of [{ secret: 'x' }, { byId: 'x' }, { place: { code: 'x' } }]) {
      await expect(manager().update(Tenancy, { note: 'differ' }, set)).rejects.toMatchObject({
        code: 'ERR_SEAL_BINDING',
      });
    }
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    for (const row of rows) expect(await found(row.id)).toEqual(row);
  });

  it('is refused where SQL has an OR beside what pins a row', async () => {
    const [one, two] = [await newRow({ tenant: 'a' }), await newRow({ tenant: 'b' })];
    const update = () => shop.dataSource.createQueryBuilder().update(Tenancy).set({ secret: 'x', byId: 'x' });
    const ambiguous = [
      update().where({ id: one.id, tenant: 'a', shard: '0' }).andWhere('1 = 1 OR id = :two', { two: two.id }),
      update().where('id = :two OR 1 = 0', { two: two.id }).orWhere({ id: one.id }),
      update().where('id = :two OR 1 = 1', { two: two.id }).andWhere({ id: one.id }),
      update()
        .where('id = :two OR 1 = 1', { two: two.id })
        .clone()
        .andWhere({ id: one.id, tenant: 'a', shard: '0' }),
    ];
    for (const statement of ambiguous) {
      await expect(statement.execute()).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
    }
    for (const row of [one, two]) expect(await found(row.id)).toEqual(row);
  });

  it('writes nothing when no row matches', async () => {
    const result = await manager().update(Tenancy, { note: 'nobody' }, { secret: 'x' });
    expect(result.affected).toBe(0);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('is refused for all rows at once, where they differ', async () => {
    await newRow({ tenant: 'a' });
    await newRow({ tenant: 'b' });
    const all = shop.dataSource.createQueryBuilder().update(Tenancy).set({ secret: 'x' });
    await expect(all.execute()).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
  });

  it('asks the database for nothing that the set and the criteria tell', async () => {
    const row = await newRow();
    shop.recorder.clear();
    await manager().update(Tenancy, { id: row.id }, { byId: 'told' });
    await manager().update(Tenancy, { id: row.id, tenant: 'a' }, { secret: 'told', shard: '7', tenant: 'c' });
    await manager().update(Tenancy, { id: row.id }, { byId: null });
    expect(shop.recorder.of('SELECT')).toEqual([]);
    expect(await found(row.id)).toMatchObject({ secret: 'told', tenant: 'c', byId: null });
    expect(Number((await found(row.id)).shard)).toBe(7);
  });

  it('rolls back to before the statement in its own transaction, and stays inside that of the caller', async () => {
    const row = await newRow({ note: 'transaction' });
    await expect(
      shop.dataSource.transaction(async (inside) => {
        await inside.update(Tenancy, { note: 'transaction' }, { secret: 'rolled back' });
        expect((await inside.findOneByOrFail(Tenancy, { id: row.id })).secret).toBe('rolled back');
        throw new Error('rolled back on purpose');
      }),
    ).rejects.toThrow('on purpose');
    expect(await found(row.id)).toEqual(row);
    const runner = shop.dataSource.createQueryRunner();
    const update = runner.manager.update(Tenancy, { id: row.id }, { secret: 1 as unknown as string });
    await expect(update).rejects.toMatchObject({ code: 'ERR_SEAL_TYPE' });
    expect([runner.isTransactionActive, runner.isReleased]).toEqual([false, false]);
    await runner.manager.update(Tenancy, { id: row.id }, { secret: 'same runner' });
    await runner.release();
    expect((await found(row.id)).secret).toBe('same runner');
  });

  it('works with a database pool of one connection', async () => {
    const one = await openShop({ beside: shop, entities: [Tenancy], options: { poolSize: 1 } as object });
    const row = await newRow();
    await one.dataSource.manager.update(Tenancy, { id: row.id }, { secret: 'one connection' });
    expect((await found(row.id)).secret).toBe('one connection');
    await one.close();
  });

  it('can be executed again', async () => {
    const row = await newRow({ note: 'again' });
    const update = shop.dataSource.createQueryBuilder().update(Tenancy).set({ secret: 'again' });
    update.where({ note: 'again' });
    expect((await update.execute()).affected).toBe(1);
    await manager().update(Tenancy, { id: row.id }, { tenant: 'moved', secret: 'moved' });
    expect((await update.execute()).affected).toBe(1);
    expect(await found(row.id)).toMatchObject({ tenant: 'moved', secret: 'again' });
  });

  it('has no SQL before it is executed', () => {
    const update = shop.dataSource.createQueryBuilder().update(Tenancy).set({ secret: 'x' }).where({ id: 1 });
    expect(() => update.getQuery()).toThrow(
      expect.objectContaining({
        code: 'ERR_SEAL_NOT_PREPARED',
        message: expect.stringContaining('by plain equality in the criteria') as string,
      }),
    );
    const sql = () => update.andWhere({ tenant: 'a', shard: '0' }).getQuery();
    // There `=` ignores case, so a text in the criteria does not tell that of the row.
    if (databaseName === 'mariadb') expect(sql).toThrow('is bound to tenant');
    else expect(sql()).toMatch(/UPDATE "tenancies/u);
  });

  it('is refused when a bound value is an expression in the set', async () => {
    const row = await newRow();
    const expression = { tenant: () => "'b'", shard: '0', secret: 'x' };
    await expect(manager().update(Tenancy, { id: row.id }, expression)).rejects.toMatchObject({
      code: 'ERR_SEAL_BINDING',
    });
  });

  it('is refused when only a bound value changes', async () => {
    const row = await newRow();
    row.tenant = 'b';
    await expect(manager().save(row)).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
    await expect(manager().update(Tenancy, { id: row.id }, { tenant: 'b' })).rejects.toMatchObject({
      code: 'ERR_SEAL_BINDING',
    });
    expect((await found(row.id)).tenant).toBe('a');
  });
});

describe('21 a row whose bound value changes meanwhile', () => {
  it('is waited for, and its cell is bound to the value that it has then', async (context) => {
    needs(context, 'transactions at once');
    const row = await newRow({ note: 'race' });
    const { other, commit } = await changeTenant(row.id);
    const update = manager().update(Tenancy, { id: row.id }, { secret: 'after the race' });
    await waitForLock();
    await commit();
    expect((await update).affected).toBe(1);
    await other.release();
    const [raced] = await shop.database.query('SELECT tenant FROM tenancies WHERE id = $1', [row.id]);
    expect(raced).toEqual({ tenant: 'z' });
    expect((await found(row.id)).secret).toBe('after the race');
  });

  type Criteria = (update: UpdateQueryBuilder<Tenancy>, row: { id: number; note: string }) => typeof update;

  it.each<[string, Criteria]>([
    ['an object', (update, { note }) => update.where({ note })],
    ['SQL with an OR', (update, row) => update.where('id = :id OR note = :note', row)],
    [
      'SQL after an object',
      (update, row) => update.where({ id: row.id }).andWhere('1 = 1 OR note = :note', row),
    ],
    ['alternatives', (update, { id, note }) => update.where({ id }).orWhere({ note })],
  ])('is not written when it comes to match %s between the two statements', async (_, criteria) => {
    const note = `phantom ${nextId}`;
    const [row, late] = [await newRow({ note, tenant: 'a' }), await newRow({ tenant: 'b' })];
    const update = shop.dataSource.createQueryBuilder().update(Tenancy).set({ secret: 'x' });
    let writing: Promise<unknown> = Promise.resolve();
    shop.seal.prepare = async () => {
      writing = shop.database.query('UPDATE tenancies SET note = $1 WHERE id = $2', [note, late.id]);
      // MariaDB has locked every row that it looked at, so there the other writer waits for the update.
      if (databaseName !== 'mariadb') await writing;
      return { close: () => undefined };
    };
    try {
      expect((await criteria(update, { id: row.id, note }).execute()).affected).toBe(1);
    } finally {
      Reflect.deleteProperty(shop.seal, 'prepare');
    }
    await writing;
    expect((await found(row.id)).secret).toBe('x');
    expect((await found(late.id)).secret).toBe(late.secret);
  });

  it('never keeps a cell that is bound to another value, whoever of many writers comes first', async () => {
    const row = await newRow();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? manager().update(Tenancy, { id: row.id }, { secret: `writer ${i}` })
          : manager().update(Tenancy, { id: row.id }, { tenant: `t${i}`, shard: '0', secret: `mover ${i}` }),
      ),
    );
    expect((await found(row.id)).secret).toMatch(/^(?:writer|mover) \d+$/u);
  });

  /** An open transaction that has changed the tenant and the cells bound to it, as another process would. */
  async function changeTenant(id: number): Promise<{ other: QueryRunner; commit: () => Promise<unknown> }> {
    const other = shop.dataSource.createQueryRunner();
    await other.startTransaction();
    await other.query(`UPDATE tenancies SET tenant = 'z' WHERE id = ${id}`);
    return { other, commit: () => other.commitTransaction() };
  }

  async function waitForLock(): Promise<void> {
    for (let i = 0; i < 50; i++) {
      if ((await shop.database.query(WAITING)).length === 1) return;
      // InnoDB refreshes its list only when nobody has read it for 100 ms.
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    throw new Error('The update does not wait for the row.');
  }
});
