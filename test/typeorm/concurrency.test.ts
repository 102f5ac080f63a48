/** Many transactions at once in three processes' worth of field seals, while keys come and go. */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { QueryFailedError, type EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isFieldSealError } from '../../src/index.js';
import { FakeClock } from '../keys/fake-clock.js';
import { ENTITIES } from './concurrency-entities.js';
import { expectWholeTables, newCustomer, newPan } from './concurrency-fixture.js';
import { Card, Customer } from './entities.js';
import { isAbleTo } from './limits.js';
import { openShop, type Shop } from './shop.js';

describe.runIf(isAbleTo('transactions at once'))(
  '50 transactions at once while pools rotate and a key is revoked',
  () => {
    const PURPOSE = {
      pool: { validKeys: 6, handOut: 2, lifetime: '10s', futureKeys: 1 },
      key: { openCache: '10s' },
      // The clock runs ahead of what a busy machine gets done.
      outage: { seal: '1h' },
    };
    const PURPOSES = { 'card-number': PURPOSE, 'personal-data': PURPOSE } as const;
    const clock = new FakeClock(Date.now());
    const shops: Shop[] = [];

    beforeAll(async () => {
      const options = { entities: ENTITIES, clock, purposes: PURPOSES } as Parameters<typeof openShop>[0];
      const shop = await openShop(options);
      shops.push(shop);
      for (let i = 0; i < 2; i++) shops.push(await openShop({ ...options, beside: shop }));
    });
    afterAll(async () => {
      for (const shop of shops.reverse()) await shop.close();
    });

    it('loses nothing, invents nothing, and stops sealing under that key', async () => {
      const shop = shops[0]!;
      const writers = Array.from({ length: 50 }, (_, i) => new Writer(shops[i % shops.length]!));
      const round = () => Promise.all([rotate(), ...writers.map((writer) => writer.run())]);

      await round();
      expect(writers.flatMap(({ failures }) => failures)).toEqual([]);
      const held = shops.flatMap(heldBy);
      const revoked = (await keysOf(shop)).find((key) => held.includes(key))!;
      const running = round();
      await setTimeout(30);
      await setState(shop, revoked, 'SUSPENDED');
      await running;
      await vi.waitFor(() => {
        expect(shops.flatMap(heldBy)).not.toContain(revoked);
      });
      const left = await cellsUnder(shop, revoked);
      expect(left.length).toBeGreaterThan(0);
      await round();
      await round();
      expect((await cellsUnder(shop, revoked)).filter((cell) => !left.includes(cell))).toEqual([]);

      await expectWholeTables(shop);
      expect((await keysOf(shop)).length).toBeGreaterThan(2);
      const refreshed = shop.events.filter(({ type }) => type === 'pool-refreshed');
      expect(refreshed.length).toBeGreaterThan(4);
      const codes = new Set(writers.flatMap(({ failures }) => failures));
      expect([...codes].filter((code) => !READ_OF_A_REVOKED_KEY.includes(code as string))).toEqual([]);
      expect(codes.size).toBeGreaterThan(0);

      await setState(shop, revoked, 'ENCRYPT');
      const found = await shop.dataSource.manager.find(Customer, { relations: { cards: true } });
      expect(new Map(found.map((customer) => [customer.id, valuesOf(customer)]))).toEqual(
        new Map(writers.flatMap(({ committed }) => [...committed])),
      );
    });

    /** Three times more than half a lifetime passes. */
    async function rotate(): Promise<void> {
      for (let i = 0; i < 3; i++) {
        await setTimeout(30);
        await clock.advance(6_000);
      }
    }

    const READ_OF_A_REVOKED_KEY = ['ERR_STORE_ROW_MAC', 'ERR_KEY_STATE'];

    const setState = ({ keyDatabase }: Shop, fingerprint: string, state: string) =>
      keyDatabase.query('UPDATE fieldseal.data_keys SET state = $1 WHERE fingerprint = $2', [
        state,
        fingerprint,
      ]);

    /** Fingerprints in the table, those with most cells first. */
    async function keysOf(shop: Shop): Promise<readonly string[]> {
      const counts = new Map<string, number>();
      for (const { pan_key } of await shop.rawRows('cards')) {
        const fingerprint = String(pan_key);
        counts.set(fingerprint, (counts.get(fingerprint) ?? 0) + 1);
      }
      return [...counts].sort(([, a], [, b]) => b - a).map(([fingerprint]) => fingerprint);
    }

    async function cellsUnder(shop: Shop, fingerprint: string): Promise<readonly string[]> {
      const rows = (await shop.rawRows('cards')).filter(({ pan_key }) => pan_key === fingerprint);
      return rows.map(({ pan }) => (pan as Buffer).toString('hex'));
    }

    /** The fingerprints in a few cells that this process seals now. */
    function heldBy({ seal }: Shop): string[] {
      const cells = Array.from({ length: 32 }, () => seal.seal('card-number', 'probe.value', 'x'));
      const hex = cells.map((cell) => cell.subarray(2, 18).toString('hex'));
      return [...new Set(hex)].map((one) => one.replace(/^(.{8})(.{4})(.{4})(.{4})/u, '$1-$2-$3-$4-'));
    }
  },
);

type Values = Readonly<Record<string, unknown>>;

const valuesOf = ({ name, phone, cards }: Customer): Values => ({
  name,
  phone,
  pans: cards.map(({ pan }) => pan).sort(),
});

/** Writes customers of its own, one transaction at a time, and knows which of them were committed. */
class Writer {
  readonly committed = new Map<string, Values>();
  readonly failures: unknown[] = [];
  readonly #shop: Shop;

  constructor(shop: Shop) {
    this.#shop = shop;
  }

  async run(): Promise<void> {
    const customer = newCustomer();
    const [known] = this.committed.keys();
    let changed: Customer | null = null;
    try {
      await this.#shop.dataSource.transaction(async (manager) => {
        await this.#save(manager, customer);
        if (known !== undefined) changed = await this.#change(manager, known);
        if (randomInt(8) === 0) throw new RolledBack();
      });
    } catch (error) {
      if (!(error instanceof RolledBack || isInnodbDeadlock(error)))
        this.failures.push(isFieldSealError(error) ? error.code : error);
      return;
    }
    for (const one of [customer, changed] as (Customer | null)[])
      if (one) this.committed.set(one.id, valuesOf(one));
  }

  async #save(manager: EntityManager, customer: Customer): Promise<void> {
    await manager.save(customer);
    const found = await manager.findOneByOrFail(Customer, { name: customer.name });
    expect(found.id).toBe(customer.id);
    const [deleted] = customer.cards.splice(0, 1);
    await manager.delete(Card, { pan: deleted!.pan });
    customer.phone = `+44 ${randomInt(1_000)}`;
    await manager.save(customer);
  }

  async #change(manager: EntityManager, id: string): Promise<Customer> {
    const customer = await manager.findOneOrFail(Customer, { where: { id }, relations: { cards: true } });
    customer.name = `Ada ${randomUUID()}`;
    await manager.update(Customer, { id }, { name: customer.name });
    customer.cards[0]!.pan = newPan();
    await manager.update(Card, { id: customer.cards[0]!.id }, { pan: customer.cards[0]!.pan });
    return customer;
  }
}

class RolledBack extends Error {}

/** InnoDB locks the gaps between index entries, random blind indexes too, and asks to expect deadlocks; PostgreSQL has none here. */
const isInnodbDeadlock = (error: unknown): boolean =>
  error instanceof QueryFailedError && (error.driverError as { code?: unknown }).code === 'ER_LOCK_DEADLOCK';
