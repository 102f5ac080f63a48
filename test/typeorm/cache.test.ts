/** Behaviour row 11: the query result cache of TypeORM. */
import { SelectQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { isSealed, openRaw } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { openShop, type Shop } from './shop.js';

const MINUTE_MS = 60_000;

let shop: Shop;
let customer: Customer;

beforeAll(async () => {
  shop = await openShop({
    entities: [Card, Customer],
    attach: { onUnopenable: 'sealed' },
    options: { cache: { type: 'database', tableName: 'query_cache' } },
  });
  customer = Object.assign(new Customer(), {
    name: 'Ada cache-secret',
    phone: '+44 cache-secret',
    address: { street: 'cache-secret street' },
    cards: [Object.assign(new Card(), { pan: '4111111111111111' })],
  });
  await shop.dataSource.manager.save(customer);
});
afterAll(() => shop.close());
beforeEach(async () => {
  await shop.dataSource.queryResultCache?.clear();
  shop.recorder.clear();
});

const find = () =>
  shop.dataSource.manager.findOneOrFail(Customer, {
    where: { name: 'Ada cache-secret' },
    relations: { cards: true },
    cache: MINUTE_MS,
  });

/** Selects that went to the tables of the application. */
const selects = () => shop.recorder.of('SELECT').filter((sql) => /["`]customers["`]/u.test(sql));

/** A cell as the cache holds it: drivers of SQLite give byte arrays that are no Buffers. */
const inCache = (cell: Buffer): string =>
  JSON.stringify(databaseName === 'sqljs' ? new Uint8Array(cell) : cell);

const flipLastBit = (cell: Buffer): Buffer =>
  Buffer.concat([cell.subarray(0, -1), Buffer.of(cell.at(-1)! ^ 1)]);

it('11 is asked instead of the table, and what it holds is opened', async () => {
  const first = await find();
  expect(selects().length).toBeGreaterThan(0);
  shop.recorder.clear();
  const second = await find();
  expect(selects()).toEqual([]);
  expect(second).toEqual(first);
  expect(second).toMatchObject({
    name: 'Ada cache-secret',
    phone: '+44 cache-secret',
    address: { street: 'cache-secret street' },
    cards: [{ pan: '4111111111111111' }],
  });
});

it('11 holds cells and no plaintext', async () => {
  await find();
  await find();
  const cached = await shop.database.query('SELECT * FROM query_cache');
  expect(cached.length).toBeGreaterThan(0);
  const text = JSON.stringify(cached);
  expect(text).not.toMatch(/cache-secret|4111111111111111/u);
  const { pan } = await shop.raw('cards', customer.cards[0]!.id);
  expect(cached.map(({ result }) => String(result)).join()).toContain(inCache(pan as Buffer));
});

it('11 gives cells to raw queries and opened values to entities under one id', async () => {
  const builder = () =>
    shop.dataSource
      .getRepository(Customer)
      .createQueryBuilder('c')
      .where({ id: customer.id })
      .cache('one', MINUTE_MS);
  expect((await builder().getOneOrFail()).name).toBe('Ada cache-secret');
  const raw = await builder().getRawMany();
  expect(JSON.stringify(raw)).not.toContain('cache-secret');
  expect((await builder().getRawAndEntities()).entities[0]?.name).toBe('Ada cache-secret');
});

it('11 refuses a cached row that was changed in the cache table', async () => {
  await find();
  const [before] = await shop.database.query(
    'SELECT result FROM query_cache ORDER BY length(result) DESC LIMIT 1',
  );
  const { phone } = await shop.raw('customers', customer.id);
  const changed = String(before!.result).replace(
    inCache(phone as Buffer),
    inCache(flipLastBit(phone as Buffer)),
  );
  expect(changed).not.toBe(before!.result);
  await shop.database.query('UPDATE query_cache SET result = $1 WHERE result = $2', [
    changed,
    before!.result,
  ]);
  const loaded = await find();
  expect([loaded.name, isSealed(loaded.phone)]).toEqual(['Ada cache-secret', true]);
});

it('11 is opened for builders that were not made by the data source', async () => {
  const foreign = () =>
    new SelectQueryBuilder<Customer>(shop.dataSource)
      .select('c')
      .from(Customer, 'c')
      .where({ id: customer.id })
      .cache(MINUTE_MS)
      .getOneOrFail();
  await foreign();
  expect((await foreign()).name).toBe('Ada cache-secret');
});

it('11 is opened in every form that bytes take in JSON, and nothing else is', async () => {
  const { phone } = await shop.raw('customers', customer.id);
  const open = async (cell: unknown): Promise<unknown> => {
    const rows = [JSON.parse(JSON.stringify({ phone: cell })) as object];
    const [opened] = await openRaw(shop.dataSource, Customer, rows, { phone: 'phone' });
    return (opened as { phone: unknown }).phone;
  };
  expect(await open(phone)).toBe('+44 cache-secret');
  expect(await open(new Uint8Array(phone as Buffer))).toBe('+44 cache-secret');
  for (const other of ['text', 7, true, {}, { type: 'Buffer' }, { value: 'text' }, ['a']]) {
    expect(isSealed(await open(other))).toBe(true);
  }
});

it('11 is opened with the fingerprints that were selected', async () => {
  const read = () =>
    shop.dataSource
      .createQueryBuilder(Customer, 'c')
      .addSelect('c.name_key')
      .where({ id: customer.id })
      .cache(MINUTE_MS)
      .getOneOrFail();
  await read();
  shop.recorder.clear();
  expect((await read()).name).toBe('Ada cache-secret');
  expect(selects()).toEqual([]);
});
