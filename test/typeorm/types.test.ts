/** Behaviour row 12: every type, null, undefined, empty values. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EveryType } from './entities.js';
import { openShop, reload, type Shop } from './shop.js';

let shop: Shop;
let nextId = 1;
beforeAll(async () => (shop = await openShop({ entities: [EveryType] })));
afterAll(() => shop.close());

const VALUES: [keyof EveryType, unknown][] = [
  ['text', 'Zażółć gęślą jaźń 🔐'],
  ['text', ''],
  ['amount', 0.1],
  ['amount', -0],
  ['amount', Number.MAX_VALUE],
  ['big', 123456789012345678901234567890n],
  ['big', -1n],
  ['flag', true],
  ['flag', false],
  ['born', new Date('1815-12-10T00:00:00.000Z')],
  ['extra', { nested: [1, 'two', null], deep: { er: true } }],
  ['extra', []],
  ['extra', 'a string as JSON'],
  ['extra', 0],
  ['extra', false],
  ['photo', Buffer.from([0, 255, 0xf5])],
  ['photo', Buffer.alloc(0)],
  ['padded', 'sixteen letters!'],
  ['padded', ''],
];

describe('12 values', () => {
  it.each(VALUES)('%s round trip %#', async (field, value) => {
    const id = nextId++;
    await shop.dataSource.manager.save(Object.assign(new EveryType(), { id, [field]: value }));
    const loaded = await reload(shop, EveryType, id);
    expect(loaded[field]).toEqual(Object.is(value, -0) ? 0 : value);
    shop.recorder.clear();
    await shop.dataSource.manager.save(loaded);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('null stays NULL in the cell and its sibling', async () => {
    const id = nextId++;
    await shop.dataSource.manager.save(Object.assign(new EveryType(), { id, text: null, extra: null }));
    const row = await shop.raw('every_type', id);
    expect([row.text, row.text_key, row.extra, row.extra_key]).toEqual([null, null, null, null]);
    expect(await reload(shop, EveryType, id)).toMatchObject({ text: null, extra: null });
  });

  it('undefined is not set: an update leaves the cell alone', async () => {
    const id = nextId++;
    await shop.dataSource.manager.save(Object.assign(new EveryType(), { id, text: 'kept' }));
    await shop.dataSource.manager.save(EveryType, { id, text: undefined, amount: 1 } as never);
    await shop.dataSource.manager.update(EveryType, { id }, { text: undefined, amount: 2 } as never);
    expect(await reload(shop, EveryType, id)).toMatchObject({ text: 'kept', amount: 2 });
  });

  it('an empty string is a value', async () => {
    const id = nextId++;
    await shop.dataSource.manager.save(Object.assign(new EveryType(), { id, text: '' }));
    expect((await shop.raw('every_type', id)).text).toHaveLength(50);
  });

  it('bytes do not show their neighbours on the page', async () => {
    const ids = [nextId++, nextId++];
    for (const id of ids) {
      await shop.dataSource.manager.save(
        Object.assign(new EveryType(), { id, photo: Buffer.from('secret-photo') }),
      );
    }
    const [photo] = (await shop.dataSource.getRepository(EveryType).findBy({ id: ids[0]! })).map(
      (row) => row.photo!,
    );
    expect(Buffer.from(photo!.buffer).indexOf('secret-photo', photo!.byteOffset + photo!.length)).toBe(-1);
  });

  it('uses the names that the declaration gives its columns', async () => {
    const id = nextId++;
    await shop.dataSource.manager.save(Object.assign(new EveryType(), { id, padded: 'x' }));
    const row = await shop.raw('every_type', id);
    expect(row.padded_by).toMatch(/^[0-9a-f-]{36}$/);
    expect(row.padded_cell).toHaveLength(50 + 16);
  });

  it.each<[keyof EveryType, unknown, string]>([
    ['text', 1, 'ERR_SEAL_TYPE'],
    ['text', '\ud800', 'ERR_SEAL_VALUE'],
    ['amount', '1', 'ERR_SEAL_TYPE'],
    ['amount', Number.NaN, 'ERR_SEAL_VALUE'],
    ['big', 1, 'ERR_SEAL_TYPE'],
    ['flag', 1, 'ERR_SEAL_TYPE'],
    ['born', '2020-01-01', 'ERR_SEAL_TYPE'],
    ['born', new Date(Number.NaN), 'ERR_SEAL_VALUE'],
    ['extra', { rate: Number.NaN }, 'ERR_SEAL_VALUE'],
    ['extra', { born: new Date(Number.NaN) }, 'ERR_SEAL_VALUE'],
    ['photo', 'text', 'ERR_SEAL_TYPE'],
  ])('%s refuses %s', async (field, value, code) => {
    const id = nextId++;
    const save = shop.dataSource.manager.save(Object.assign(new EveryType(), { id, [field]: value }));
    await expect(save).rejects.toMatchObject({ code });
    expect(await shop.raw('every_type', id)).toBeUndefined();
  });

  it.each<[before: unknown, after: unknown]>([
    [1, Number.NaN],
    [null, Number.NaN],
    [null, new Date(Number.NaN)],
  ])(
    'an update in place from %s in JSON to %s is refused, and the row keeps its value',
    async (before, after) => {
      const { manager } = shop.dataSource;
      const row = await manager.save(
        Object.assign(new EveryType(), { id: nextId++, extra: { rate: before } }),
      );
      Object.assign(row.extra, { rate: after });
      await expect(manager.save(row)).rejects.toMatchObject({ code: 'ERR_SEAL_VALUE' });
      const stored = await manager.findOneByOrFail(EveryType, { id: row.id });
      expect(stored.extra).toEqual({ rate: before });
    },
  );

  it('save() of JSON that is nested 10,000 levels deep ends in TypeORM, and nothing is stored', async () => {
    const id = nextId++;
    let extra: unknown = 0;
    for (let level = 0; level < 10_000; level++) extra = [extra];
    const save = shop.dataSource.manager.save(Object.assign(new EveryType(), { id, extra }));
    await expect(save).rejects.toThrow(RangeError);
    expect(await shop.raw('every_type', id)).toBeUndefined();
  });
});
