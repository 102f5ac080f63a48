/** Keys behind the entities: how often the KMS and the key store are asked, and what happens when they do not answer. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KeyReader, KeyStore } from '../../src/keys/ports.js';
import type { Fault } from '../../src/kms/emulator/faults.js';
import { FakeClock } from '../keys/fake-clock.js';
import { Card } from './entities.js';
import { openRaw } from '../../src/typeorm/index.js';
import { openShop, type Shop, type ShopOptions } from './shop.js';

const HOUR_MS = 3_600_000;

/** Each process draws one of four keys, so rows of several processes lie under several keys. */
const PURPOSES = {
  'card-number': { pool: { validKeys: 4, handOut: 1, futureKeys: 1 } },
  'personal-data': { pool: { validKeys: 2, handOut: 1 } },
} as const;

let shop: Shop;
let rows = 0;

beforeAll(async () => {
  shop = await openShop({ purposes: PURPOSES });
  while ((await fingerprintsInTable()).length < 3) {
    const writer = await openReader();
    await writer.dataSource.manager.insert(Card, newCards(50));
    rows += 50;
    await writer.close();
  }
}, 60_000);
afterAll(() => shop.close());
afterEach(() => shop.kms.faults.clear());

let nextPan = 4_000_000_000_000_000;
const newCards = (count: number) =>
  Array.from({ length: count }, () => ({ id: randomUUID(), pan: String(++nextPan) }));

const decrypts = (seal: Shop['seal']): number => seal.stats().kmsCalls.Decrypt ?? 0;

/** A second process over the same keys and rows. */
const openReader = (options: ShopOptions = {}): Promise<Shop> =>
  openShop({ beside: shop, purposes: PURPOSES, ...options });

async function fingerprintsInTable(): Promise<string[]> {
  return [...new Set((await shop.rawRows('cards')).map(({ pan_key }) => String(pan_key)))];
}

/** The keys of the table that this process does not seal with. */
async function unknownTo(reader: Shop): Promise<string[]> {
  const held = poolFingerprint(reader);
  return (await fingerprintsInTable()).filter((fingerprint) => fingerprint !== held);
}

describe('a warm process', () => {
  it('makes no KMS call for any number of cells', async () => {
    await shop.dataSource.manager.find(Card);
    const before = shop.seal.stats().kmsCalls;
    const cards = newCards(500);
    await shop.dataSource.manager.insert(Card, cards);
    expect(await shop.dataSource.manager.find(Card)).toHaveLength(rows + 500);
    expect(shop.seal.stats().kmsCalls).toEqual(before);
    await shop.dataSource.manager.delete(
      Card,
      cards.map(({ id }) => id),
    );
  });
});

describe('a process that meets unknown keys', () => {
  it('unwraps one key once for 3,000 concurrent reads of its rows', async () => {
    const reader = await openReader();
    try {
      const [unknown] = await unknownTo(reader);
      const row = (await shop.rawRows('cards')).find(({ pan_key }) => pan_key === unknown);
      const raw = [{ id: row!.id, pan: row!.pan }];
      const before = decrypts(reader.seal);
      const opened = await Promise.all(
        Array.from({ length: 3_000 }, () => openRaw(reader.dataSource, Card, raw, { id: 'id', pan: 'pan' })),
      );
      expect(opened).toHaveLength(3_000);
      expect(new Set(opened.map(([first]) => first!.pan)).size).toBe(1);
      expect(decrypts(reader.seal) - before).toBe(1);
    } finally {
      await reader.close();
    }
  });

  it('makes k unwraps and one store query for a page of rows under k unknown keys', async () => {
    const counted = { finds: 0 };
    const reader = await openReader({ wrapStore: (store) => counting(store, counted) });
    try {
      const unknown = await unknownTo(reader);
      const before = decrypts(reader.seal);
      for (let again = 0; again < 2; again++) {
        expect(await reader.dataSource.manager.find(Card)).toHaveLength(rows);
        expect(decrypts(reader.seal) - before).toBe(unknown.length);
        expect(counted.finds).toBe(1);
      }
    } finally {
      await reader.close();
    }
  });
});

describe('a KMS that does not help', () => {
  it.each<[Fault, string]>([
    ['denied', 'ERR_KMS_DENIED'],
    ['throttle', 'ERR_KEY_UNAVAILABLE'],
    ['hang', 'ERR_KEY_UNAVAILABLE'],
    ['internal', 'ERR_KEY_UNAVAILABLE'],
    ['garbage', 'ERR_KMS_RESPONSE'],
    ['short-plaintext', 'ERR_KMS_RESPONSE'],
  ])('%s is %s for rows under an unknown key, and nothing else', async (fault, code) => {
    const reader = await openReader({
      kmsOptions: { attempts: 2, timeouts: { connectMs: 1_500, requestMs: 1_500 } },
    });
    try {
      shop.kms.faults.inject('Decrypt', fault);
      await expect(reader.dataSource.manager.find(Card)).rejects.toMatchObject({ code });
      shop.kms.faults.clear();
      expect(await reader.dataSource.manager.find(Card)).toHaveLength(rows);
    } finally {
      await reader.close();
    }
  });
});

describe('a key store that is gone', () => {
  it('is an error for rows under an unknown key, and no obstacle for keys that are here', async () => {
    const reader = await openReader();
    const [card] = newCards(1);
    await reader.keyDatabase.query('ALTER SCHEMA fieldseal RENAME TO hidden');
    try {
      await expect(reader.dataSource.manager.find(Card)).rejects.toMatchObject({
        code: 'ERR_KEY_UNAVAILABLE',
        cause: { code: 'ERR_STORE_NOT_MIGRATED' },
      });
      await reader.dataSource.manager.insert(Card, card!);
      expect((await reader.dataSource.manager.findOneByOrFail(Card, { id: card!.id })).pan).toBe(card!.pan);
      await reader.dataSource.manager.delete(Card, { id: card!.id });
    } finally {
      await reader.keyDatabase.query('ALTER SCHEMA hidden RENAME TO fieldseal');
      await reader.close();
    }
  });
});

describe('an outage of the KMS', () => {
  it('lets sealing go on to its limit, then refuses; opens cached keys meanwhile; stores no plaintext', async () => {
    const clock = new FakeClock(Date.now());
    const outage = await openShop({
      clock,
      purposes: {
        'card-number': { pool: { lifetime: '1h' }, outage: { seal: '1h' }, key: { openCache: '10h' } },
        'personal-data': {},
      },
      kmsOptions: { attempts: 1 },
    });
    try {
      const [card] = newCards(1);
      await outage.dataSource.manager.insert(Card, card!);
      await outage.kms.close();

      await clock.advance(1.5 * HOUR_MS);
      await waitFor(() => outage.events.some(({ type }) => type === 'refresh-failed'));
      await outage.dataSource.manager.insert(Card, newCards(1)[0]!);

      await clock.advance(HOUR_MS);
      const late = newCards(1)[0]!;
      await expect(outage.dataSource.manager.insert(Card, late)).rejects.toMatchObject({
        code: 'ERR_POOL_STALE',
      });
      await expect(outage.dataSource.manager.save(Object.assign(new Card(), late))).rejects.toMatchObject({
        code: 'ERR_POOL_STALE',
      });
      expect(await outage.dataSource.manager.countBy(Card, { id: late.id })).toBe(0);
      expect((await outage.dataSource.manager.findOneByOrFail(Card, { id: card!.id })).pan).toBe(card!.pan);
      const cells = (await outage.rawRows('cards')).map(({ pan }) => pan as Buffer);
      expect(cells.map(([marker]) => marker)).toEqual([0xf5, 0xf5]);
    } finally {
      await outage.close();
    }
  });
});

describe('close', () => {
  it('refuses everything afterwards', async () => {
    const closed = await openReader();
    await closed.seal.close();
    await closed.seal.close();
    await expect(closed.dataSource.manager.find(Card)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(closed.dataSource.manager.insert(Card, newCards(1)[0]!)).rejects.toMatchObject({
      code: 'ERR_CLOSED',
    });
    await closed.close();
  });
});

/** The one key that this process seals with. */
function poolFingerprint(of: Shop): string {
  const sealed = of.seal.seal('card-number', 'probe.value', 'x');
  const hex = sealed.subarray(2, 18).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/u, '$1-$2-$3-$4-');
}

function counting(store: KeyStore, counted: { finds: number }): KeyStore {
  const find: KeyReader['find'] = (scope, wanted) => {
    counted.finds += 1;
    return store.find(scope, wanted);
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'find') return find;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

async function waitFor(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}
