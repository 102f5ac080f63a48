/** Behaviour row 8: no plaintext in what TypeORM logs, throws or sends. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Card, Customer } from './entities.js';
import { openShop, type Shop } from './shop.js';

const CANARY = 'canary-7f3a9c51';
const PAN = '4929123456789015';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ options: { maxQueryExecutionTime: 0.000001 } })));
afterAll(() => shop.close());

const shows = (value: unknown): boolean => {
  const text =
    typeof value === 'string'
      ? value
      : inspect(value, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null });
  const bytes = (canary: string) => [
    canary,
    Buffer.from(canary).toString('hex'),
    Buffer.from(canary).toString('base64').replace(/=+$/, ''),
  ];
  return [CANARY, PAN].flatMap(bytes).some((form) => text.includes(form));
};

async function errorOf(action: () => Promise<unknown>): Promise<Error> {
  try {
    await action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected the action to fail');
}

it('the scan sees a plaintext where there is one', () => {
  expect(shows({ deep: [Buffer.from(CANARY).toString('hex')] })).toBe(true);
  expect(shows(new Error(`failed for ${PAN}`))).toBe(true);
  expect(shows('nothing')).toBe(false);
});

it('8 logs and statements hold none', async () => {
  const { manager } = shop.dataSource;
  const customer = Object.assign(new Customer(), {
    name: CANARY,
    phone: CANARY,
    address: { street: CANARY },
    cards: [Object.assign(new Card(), { pan: PAN })],
  });
  await manager.save(customer);
  customer.phone = `${CANARY} changed`;
  await manager.save(customer);
  await manager.find(Customer, { where: { name: CANARY }, relations: { cards: true } });
  await manager.update(Card, { pan: PAN }, { note: 'x' });
  expect(shop.recorder.lines.length).toBeGreaterThan(8);
  expect(shows(shop.recorder.lines.join('\n'))).toBe(false);
  expect(shows(shop.recorder.statements)).toBe(false);
});

it('8 errors hold none: constraint, type, not found, unsupported, connection lost', async () => {
  const { manager } = shop.dataSource;
  const actions: (() => Promise<unknown>)[] = [
    () => manager.insert(Card, { id: '00000000-0000-4000-8000-000000000001', pan: PAN }),
    () => manager.insert(Customer, { id: 'no uuid', name: CANARY }),
    () =>
      manager.insert(Customer, {
        id: '00000000-0000-4000-8000-000000000002',
        name: [CANARY] as unknown as string,
      }),
    () => manager.insert(Customer, { id: '00000000-0000-4000-8000-000000000002', name: `${CANARY}\ud800` }),
    () => manager.findOneOrFail(Customer, { where: { name: `${CANARY} missing` } }),
    () => manager.findOneByOrFail(Card, { pan: `${PAN}0` }),
    () => shop.dataSource.getRepository(Card).findOneByOrFail({ pan: `${PAN}0` }),
    () =>
      manager
        .createQueryBuilder(Customer, 'c')
        .where({ name: `${CANARY} missing` })
        .getOneOrFail(),
    () => manager.findBy(Customer, { phone: CANARY }),
    () => manager.createQueryBuilder(Customer, 'c').where('c.name = :name', { name: CANARY }).getMany(),
    () =>
      shop.dataSource.transaction(async (inside) => {
        const [{ pid }] = await inside.query<[{ pid: number }]>('SELECT pg_backend_pid() AS pid');
        await Promise.all([
          shop.database.query('SELECT pg_terminate_backend($1)', [pid]),
          inside.query('SELECT pg_sleep(5)').catch(() => undefined),
        ]);
        await inside.save(Object.assign(new Customer(), { name: CANARY, cards: [] }));
      }),
  ];
  for (const action of actions) {
    const error = await errorOf(action);
    expect(shows(error), `${error.name} at ${action.toString()}`).toBe(false);
    expect(shows(JSON.stringify(error))).toBe(false);
    expect(shows(String(error.stack))).toBe(false);
  }
  expect(shows(shop.recorder.lines.join('\n'))).toBe(false);
});

it('the field seal shows itself without keys', () => {
  expect(inspect(shop.seal, { depth: 12, showHidden: true })).not.toMatch(/Buffer|KeyObject|root/);
  expect(JSON.parse(JSON.stringify(shop.seal))).toMatchObject({ application: 'shop', environment: 'test' });
  expect(shows(shop.seal.stats())).toBe(false);
});
