/** Point 10 and row 14: DataSources whose field seal only writes, and Active Record between two kinds of them. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { BaseEntity, Column, DataSource, Entity, PrimaryColumn, SelectQueryBuilder } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FieldSeal } from '../../src/index.js';
import type { FieldSealPages } from '../../src/keys/field-seal.js';
import { attachFieldSeal, Encrypted, isSealed, openRaw, Sealed } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, isCellHiding, openShop, Recorder, reload, type Shop } from './shop.js';

@Entity('members')
class Member extends BaseEntity {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true }) email!: string;
}

/** In no DataSource that reads. */
@Entity('visitors')
class Visitor extends BaseEntity {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'personal-data' }) email!: string;
}

const ENTITIES = [Card, Customer, Member];
const PAN = '4111111111111111';

let shop: Shop;
let web: DataSource;
const recorder = new Recorder();

beforeAll(async () => {
  shop = await openShop({ entities: ENTITIES });
  web = await attachFieldSeal(
    dataSourceOf(shop.database.url, ENTITIES, { logger: recorder }),
    writeOnly(shop.seal),
  ).initialize();
});
afterAll(async () => {
  await web.destroy();
  await shop.close();
});
afterEach(() => recorder.clear());

/** A field seal as a process that only writes has it: it fails the test when it is asked to open. */
function writeOnly(seal: FieldSeal): FieldSealPages {
  return new Proxy(seal, {
    get: (target, name) => {
      if (name === 'access') return 'write-only';
      if (name === 'openPage') throw new Error('A write-only field seal was asked to open a page.');
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

const newCard = async (): Promise<Card> =>
  web.manager.save(Object.assign(new Card(), { pan: `${PAN}${randomUUID()}` }));

const sealedIn = (value: unknown): Sealed => {
  if (!isSealed(value)) throw new TypeError('expected a sealed value');
  return value;
};

describe('10 a DataSource that only writes', () => {
  it('seals what it writes, for others to read', async () => {
    const card = await newCard();
    expect(isCellHiding((await shop.raw('cards', card.id)).pan, PAN)).toBe(true);
    expect((await reload(shop, Card, card.id)).pan).toBe(card.pan);
  });

  it('gives sealed values by every way to read, and asks for no key', async () => {
    const customer = Object.assign(new Customer(), { name: 'Ada Web', phone: null, cards: [] as Card[] });
    customer.cards = [Object.assign(new Card(), { pan: `${PAN}${randomUUID()}` })];
    await web.manager.save(customer);
    const before = shop.seal.stats();
    const where = { id: customer.id };
    const loaded = [
      await web.manager.findOneByOrFail(Customer, where),
      await web.manager.findOneByOrFail(Customer, { name: 'ada WEB' }),
      await web.manager.findOneOrFail(Customer, { where, relations: { cards: true }, take: 1 } as object),
      await web.manager.findOneOrFail(Customer, {
        where,
        relations: { cards: true },
        relationLoadStrategy: 'query',
      }),
      await new SelectQueryBuilder<Customer>(web).select('c').from(Customer, 'c').where(where).getOneOrFail(),
    ];
    for (const { name, phone, cards } of loaded) {
      await expect(sealedIn(name).open()).rejects.toMatchObject({ code: 'ERR_OPEN_WRITE_ONLY' });
      expect(phone).toBeNull();
      for (const { pan } of (cards as Card[] | undefined) ?? []) expect(isSealed(pan)).toBe(true);
    }
    expect(loaded.filter(({ cards }) => (cards as Card[] | undefined)?.length === 1)).toHaveLength(2);
    const { unwraps, cellsOpened, openFailures } = shop.seal.stats();
    expect({ unwraps, cellsOpened, openFailures }).toEqual({
      unwraps: before.unwraps,
      cellsOpened: before.cellsOpened,
      openFailures: before.openFailures,
    });
  });

  it('shows nothing of the value in inspect, JSON and text', async () => {
    const { id } = await newCard();
    const card = await web.manager.findOneByOrFail(Card, { id });
    const { pan_key } = await shop.raw('cards', id);
    expect(inspect(card.pan)).toBe(`Sealed { card-number, cards.pan, key ${String(pan_key)} }`);
    expect(JSON.parse(JSON.stringify(card))).toMatchObject({ id, pan: '[sealed]' });
  });

  it('saves another column of such an entity and leaves the cell byte for byte', async () => {
    const { id } = await newCard();
    const before = await shop.raw('cards', id);
    const card = await web.manager.findOneByOrFail(Card, { id });
    recorder.clear();
    await web.manager.save(card);
    expect(recorder.of('UPDATE')).toEqual([]);
    card.note = 'from the web';
    await web.manager.save(card);
    expect(await shop.raw('cards', id)).toEqual({ ...before, note: 'from the web' });
    expect(isSealed(card.pan)).toBe(true);
  });

  it('writes a new value in its place', async () => {
    const { id } = await newCard();
    const card = await web.manager.findOneByOrFail(Card, { id });
    card.pan = `5555555555554444${randomUUID()}`;
    await web.manager.save(card);
    expect((await reload(shop, Card, id)).pan).toBe(card.pan);
  });

  it('updates by criteria on the encrypted field and reads what a cell is bound to', async () => {
    const card = await newCard();
    await web.manager.update(Card, { pan: card.pan }, { pan: `${card.pan}-2`, note: 'found' });
    expect(await reload(shop, Card, card.id)).toMatchObject({ pan: `${card.pan}-2`, note: 'found' });
  });

  it('refuses to copy a sealed value', async () => {
    const { id } = await newCard();
    const { pan } = await web.manager.findOneByOrFail(Card, { id });
    await expect(web.manager.insert(Card, { id: randomUUID(), pan })).rejects.toMatchObject({
      code: 'ERR_SEAL_TYPE',
    });
  });

  it('gives sealed values from openRaw too, whatever it is told', async () => {
    const { id } = await newCard();
    const rows = await shop.database.query('SELECT id, pan FROM cards WHERE id = $1', [id]);
    const [opened] = await openRaw(web, Card, rows, { id: 'id', pan: 'pan' }, { onUnopenable: 'throw' });
    const { pan } = opened as { pan: unknown };
    await expect(sealedIn(pan).open()).rejects.toMatchObject({ code: 'ERR_OPEN_WRITE_ONLY' });
  });
});

describe('14 Active Record', () => {
  it('goes through the DataSource that was initialized last, which is told when it only writes', async () => {
    const [readWrite, onlyWrites] = [
      attachFieldSeal(dataSourceOf(shop.database.url, [Member]), shop.seal),
      attachFieldSeal(dataSourceOf(shop.database.url, [Member]), writeOnly(shop.seal)),
    ];
    await readWrite.initialize();
    const member = Object.assign(new Member(), { email: 'ada@example.org' });
    await member.save();
    expect(isCellHiding((await shop.raw('members', member.id)).email, 'ada@')).toBe(true);
    expect((await Member.findOneByOrFail({ email: 'ada@example.org' })).email).toBe('ada@example.org');
    await member.reload();
    expect(member.email).toBe('ada@example.org');

    shop.events.length = 0;
    await onlyWrites.initialize();
    expect(shop.events).toEqual([
      {
        type: 'warning',
        code: 'ACTIVE_RECORD_WRITE_ONLY',
        message: expect.stringContaining('Member: its static methods use the DataSource that was') as string,
      },
    ]);
    const sealed = await Member.findOneByOrFail({ email: 'ada@example.org' });
    expect(isSealed(sealed.email)).toBe(true);
    sealed.note = 'active';
    await sealed.save();
    await Member.update({ id: member.id }, { email: 'augusta@example.org' });

    Member.useDataSource(readWrite);
    expect(await Member.findOneByOrFail({ id: member.id })).toMatchObject({
      email: 'augusta@example.org',
      note: 'active',
    });
    await (await Member.findOneByOrFail({ id: member.id })).remove();
    expect(await Member.count()).toBe(0);
    await Promise.all([readWrite.destroy(), onlyWrites.destroy()]);
  });

  it('is no matter for a process that only writes', async () => {
    shop.events.length = 0;
    const alone = attachFieldSeal(dataSourceOf(shop.database.url, [Visitor]), writeOnly(shop.seal));
    await alone.initialize();
    await alone.synchronize();
    await Visitor.insert({ id: 1, email: 'ada@example.org' });
    expect(isSealed((await Visitor.findOneByOrFail({ id: 1 })).email)).toBe(true);
    await alone.destroy();
    expect(shop.events).toEqual([]);
  });
});
