/** What docs/threat-model.md says of a reader and a writer of the application's database, done to a real one. */
import { IsNull } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Card, Customer } from '../typeorm/entities.js';
import { openShop, reload, type Shop } from '../typeorm/shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop()));
afterAll(() => shop.close());
beforeEach(() => shop.database.query('TRUNCATE cards, customers'));

const PANS = ['4000000000000002', '4000000000000010'] as const;

const saveCustomer = (name: string): Promise<Customer> =>
  shop.dataSource.manager.save(Object.assign(new Customer(), { name }));

const saveCards = (): Promise<[Card, Card]> =>
  shop.dataSource.manager.save(PANS.map((pan) => Object.assign(new Card(), { pan }))) as Promise<
    [Card, Card]
  >;

describe('a reader of the database', () => {
  it('sees a length that is 50 bytes over the value, and two cells of one value that differ', async () => {
    const rows = await Promise.all(
      ['Ann', 'Ann'].map(async (name) => shop.raw('customers', (await saveCustomer(name)).id)),
    );
    expect(rows.map(({ name }) => (name as Buffer).length)).toEqual([53, 53]);
    expect(rows[0]!.name).not.toEqual(rows[1]!.name);
  });

  it('sees equal values of an indexed field by their index', async () => {
    const rows = await Promise.all(
      ['Ann', 'Ann', 'Bob'].map(async (name) => shop.raw('customers', (await saveCustomer(name)).id)),
    );
    expect(rows[0]!.name_bidx).toEqual(rows[1]!.name_bidx);
    expect(rows[0]!.name_bidx).not.toEqual(rows[2]!.name_bidx);
  });

  it('sees one cell in all rows of an update that matched several', async () => {
    const [ann, bob] = await Promise.all([saveCustomer('Ann'), saveCustomer('Bob')]);
    await shop.dataSource.manager.update(Customer, { status: 'new' }, { phone: '5551234' });
    const [one, other] = await Promise.all([shop.raw('customers', ann.id), shop.raw('customers', bob.id)]);
    expect(one.phone).toEqual(other.phone);
  });

  it('sees no such cell where the field is bound: the update is refused', async () => {
    await saveCards();
    const update = shop.dataSource.manager.update(Card, { note: IsNull() }, { pan: PANS[0] });
    await expect(update).rejects.toMatchObject({ code: 'ERR_SEAL_BINDING' });
  });
});

describe('a writer of the database', () => {
  it('can put back an older cell of the same row and field', async () => {
    const ann = await saveCustomer('Ann');
    const old = await shop.raw('customers', ann.id);
    await shop.dataSource.manager.save(Object.assign(ann, { name: 'Anna' }));
    await shop.database.query('UPDATE customers SET name = $1, name_key = $2', [old.name, old.name_key]);
    expect((await reload(shop, Customer, ann.id)).name).toBe('Ann');
  });

  it('can copy a cell to another row of a field without bind, and not of one with it', async () => {
    const [ann, bob] = await Promise.all([saveCustomer('Ann'), saveCustomer('Bob')]);
    await copy('customers', 'name', ann.id, bob.id);
    expect((await reload(shop, Customer, bob.id)).name).toBe('Ann');

    const [first, second] = await saveCards();
    await copy('cards', 'pan', first.id, second.id);
    await expect(reload(shop, Card, second.id)).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  it('is noticed when an index leads to a wrong row, and not when it leads away, nor by a count', async () => {
    const [first, second] = await saveCards();
    const { pan_bidx: index } = await shop.raw('cards', first.id);
    await shop.database.query('UPDATE cards SET pan_bidx = decode(md5(id::text), $1) WHERE id = $2', [
      'hex',
      first.id,
    ]);
    expect(await shop.dataSource.manager.findBy(Card, { pan: PANS[0] })).toEqual([]);
    await shop.dataSource.manager.insert(Card, { id: '00000000-0000-4000-8000-000000000003', pan: PANS[0] });
    await shop.database.query('DELETE FROM cards WHERE pan_bidx = $1', [index]);

    await shop.database.query('UPDATE cards SET pan_bidx = $1 WHERE id = $2', [index, second.id]);
    expect(await shop.dataSource.manager.countBy(Card, { pan: PANS[0] })).toBe(1);
    await expect(shop.dataSource.manager.findBy(Card, { pan: PANS[0] })).rejects.toMatchObject({
      code: 'ERR_OPEN_FAILED',
    });
  });

  it('can lead writes by value to another row, which no cell is loaded for', async () => {
    const [first, second] = await saveCards();
    const { pan_bidx: index } = await shop.raw('cards', first.id);
    await shop.database.query('DELETE FROM cards WHERE id = $1', [first.id]);
    await shop.database.query('UPDATE cards SET pan_bidx = $1 WHERE id = $2', [index, second.id]);
    const { manager } = shop.dataSource;
    await manager.update(Card, { pan: PANS[0] }, { note: 'of another' });
    expect((await reload(shop, Card, second.id)).note).toBe('of another');
    await manager.delete(Card, { pan: PANS[0] });
    expect(await manager.countBy(Card, { id: second.id })).toBe(0);
  });

  it.each([
    ['a broken cell', 'name = set_byte(name, 50, get_byte(name, 50) # 1)', 'ERR_OPEN_FAILED'],
    [
      'an invented key',
      'name = overlay(name placing uuid_send(id) from 3), name_key = id',
      'ERR_KEY_NOT_FOUND',
    ],
    ['plaintext in a cell column', `name = convert_to('Ann', 'UTF8')`, 'ERR_FORMAT_CELL'],
  ])('makes every query that loads the row fail by %s', async (_what, set, code) => {
    await saveCustomer('Bob');
    const ann = await saveCustomer('Ann');
    await shop.database.query(`UPDATE customers SET ${set} WHERE id = $1`, [ann.id]);
    await expect(shop.dataSource.manager.find(Customer)).rejects.toMatchObject({ code });
  });

  it('can change the fingerprint beside a cell unnoticed by those who load entities', async () => {
    const ann = await saveCustomer('Ann');
    await shop.database.query('UPDATE customers SET name_key = gen_random_uuid()');
    expect((await reload(shop, Customer, ann.id)).name).toBe('Ann');
  });

  it('costs no KMS call by fingerprints that he invents', async () => {
    const ann = await saveCustomer('Ann');
    await shop.database.query(
      'UPDATE customers SET name = overlay(name placing uuid_send(id) from 3), name_key = id',
    );
    const before = shop.seal.stats().kmsCalls;
    await expect(reload(shop, Customer, ann.id)).rejects.toMatchObject({ code: 'ERR_KEY_NOT_FOUND' });
    expect(shop.seal.stats().kmsCalls).toEqual(before);
  });
});

async function copy(table: string, column: string, from: string, to: string): Promise<void> {
  await shop.database.query(
    `UPDATE ${table} SET ${column} = other.${column}, ${column}_key = other.${column}_key
     FROM ${table} other WHERE other.id = $1 AND ${table}.id = $2`,
    [from, to],
  );
}
