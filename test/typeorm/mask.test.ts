/** The option `mask`: a truncated card number beside the cell, for display. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, Entity, In, Like, Not, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Encrypted } from '../../src/typeorm/index.js';
import { dialect } from './databases.js';
import { needs } from './limits.js';
import { dataSourceOf, openShop, reload, type Shop } from './shop.js';

const PAN = '4111111111111111';
const OTHER = '5555555555554444';

@Entity('masked_cards')
class MaskedCard {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({
    purpose: 'card-number',
    mask: 'first6last4',
    blindIndex: { unique: true },
    control: 'keyed-hash',
    bind: ['id'],
  })
  pan!: string;
  panMask?: string | null;
}

class Plastic {
  @Column('text') label: string = 'made by the class';
  @Encrypted({ purpose: 'card-number', mask: 'last4', bind: false, nullable: true }) pan!: string | null;
  panMask?: string | null;
}
@Entity('masked_wallets')
class Wallet {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'card-number', mask: 'last4', bind: false, nullable: true, name: 'card_number' })
  spare!: string | null;
  spareMask?: string | null;
  @Column(() => Plastic) main!: Plastic;
}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [MaskedCard, Wallet] })));
afterAll(() => shop.close());
beforeEach(async () => {
  await shop.dataSource.manager.clear(MaskedCard);
  shop.recorder.clear();
});

const manager = () => shop.dataSource.manager;
const newCard = (pan = PAN): MaskedCard => Object.assign(new MaskedCard(), { pan });

describe('a saved entity', () => {
  it('stores the mask in the statement of the cell and shows it', async () => {
    const card = await manager().save(newCard());
    expect(card.panMask).toBe('411111******1111');
    expect((await shop.raw('masked_cards', card.id)).pan_mask).toBe('411111******1111');
    expect(shop.recorder.of('INSERT')).toHaveLength(1);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    expect(await reload(shop, MaskedCard, card.id)).toMatchObject({ pan: PAN, panMask: '411111******1111' });
  });

  it.each([{ reload: false }, { reload: true }, { listeners: false }])(
    'shows it with %j',
    async (options) => {
      const card = await manager().save(newCard(), options);
      expect(card.panMask).toBe('411111******1111');
      card.pan = OTHER;
      expect((await manager().save(card, options)).panMask).toBe('555555******4444');
    },
  );

  it('shows the new mask after a changed value, with many entities at once', async () => {
    const cards = await manager().save([newCard(PAN), newCard(OTHER)]);
    expect(cards.map(({ panMask }) => panMask)).toEqual(['411111******1111', '555555******4444']);
    cards[0]!.pan = '378282246310005';
    cards[1]!.note = 'changed';
    await manager().save(cards);
    expect(cards.map(({ panMask }) => panMask)).toEqual(['378282*****0005', '555555******4444']);
    expect((await shop.raw('masked_cards', cards[0]!.id)).pan_mask).toBe('378282*****0005');
  });

  it('keeps its mask when something else is saved', async () => {
    const card = await reload(shop, MaskedCard, (await manager().save(newCard())).id);
    card.note = 'changed';
    await manager().save(card);
    expect(card.panMask).toBe('411111******1111');
    const partial = await manager().save(MaskedCard, { id: card.id, note: 'again' });
    expect(partial).not.toMatchObject({ panMask: expect.any(String) as string });
    expect((await shop.raw('masked_cards', card.id)).pan_mask).toBe('411111******1111');
  });

  it('shows no mask of a value that was not stored', async () => {
    const first = await manager().save(newCard());
    const copy = newCard(first.pan);
    await expect(manager().save(copy)).rejects.toThrow(dialect.unique);
    expect(copy.panMask).toBeUndefined();
    const second = await manager().save(newCard(OTHER));
    second.pan = first.pan;
    await expect(manager().save(second)).rejects.toThrow(dialect.unique);
    expect(second.panMask).toBe('555555******4444');
  });

  it('is shown by insert() as generated values are, and by upsert() where the cell was overwritten', async () => {
    const card = newCard();
    await manager().insert(MaskedCard, card);
    expect(card.panMask).toBe('411111******1111');
    card.pan = OTHER;
    await manager().upsert(MaskedCard, card, ['id']);
    expect(card.panMask).toBe('555555******4444');
    expect((await shop.raw('masked_cards', card.id)).pan_mask).toBe('555555******4444');
  });

  it('shows no mask where a row may have been left as it was', async () => {
    await manager().save(newCard());
    const ignored = newCard();
    await manager().createQueryBuilder().insert().into(MaskedCard).values(ignored).orIgnore().execute();
    expect(ignored.panMask).toBeUndefined();
  });
});

describe('a mask is never written by the application', () => {
  it('issues no UPDATE for an unchanged entity, nor for a mask changed by hand', async () => {
    const card = await manager().save(newCard());
    const loaded = await reload(shop, MaskedCard, card.id);
    shop.recorder.clear();
    await manager().save(loaded);
    for (const byHand of ['0000', null, undefined]) {
      loaded.panMask = byHand as string | null;
      await manager().save(loaded);
    }
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    expect((await shop.raw('masked_cards', card.id)).pan_mask).toBe('411111******1111');
  });

  it('is not taken from a new entity, a changed one, or the set of an update', async () => {
    const card = await manager().save(Object.assign(newCard(), { panMask: 'by hand' }));
    expect(card.panMask).toBe('411111******1111');
    Object.assign(card, { pan: OTHER, panMask: 'by hand' });
    await manager().save(card);
    expect(card.panMask).toBe('555555******4444');
    await manager().update(MaskedCard, { id: card.id }, Object.assign(card, { panMask: 'by hand' }));
    expect((await shop.raw('masked_cards', card.id)).pan_mask).toBe('555555******4444');
  });

  it('is not taken from an entity whose value is not written', async () => {
    const card = await manager().save(newCard());
    Object.assign(card, { note: 'changed', panMask: PAN });
    await manager().save(card);
    expect(await shop.raw('masked_cards', card.id)).toMatchObject({
      note: 'changed',
      pan_mask: '411111******1111',
    });
    const main = Object.assign(new Plastic(), { panMask: PAN });
    const wallet = await manager().save(manager().create(Wallet, { id: 7, spareMask: PAN, main }));
    expect(await shop.raw('masked_wallets', 7)).toMatchObject({ card_number_mask: null, mainPan_mask: null });
    expect(wallet).toMatchObject({ spareMask: null, main: { panMask: null } });
    expect(shop.recorder.lines.join()).not.toContain(PAN);
  });

  it('is refused alone, by update, insert columns and the overwrite list of an upsert', async () => {
    const card = await manager().save(newCard());
    const unsupported = { code: 'ERR_QUERY_UNSUPPORTED' };
    await expect(manager().update(MaskedCard, { id: card.id }, { panMask: '9999' })).rejects.toMatchObject(
      unsupported,
    );
    await expect(
      manager()
        .createQueryBuilder()
        .insert()
        .into(MaskedCard, ['id', 'panMask'])
        .values({ id: randomUUID(), panMask: '9999' })
        .execute(),
    ).rejects.toMatchObject(unsupported);
    await expect(
      manager()
        .createQueryBuilder()
        .insert()
        .into(MaskedCard)
        .values(card)
        .orUpdate(['pan_mask'], ['id'])
        .execute(),
    ).rejects.toMatchObject(unsupported);
  });

  it.each(['4111 1111 1111 1111', '411111111111', '41111111111111111111', '', '4111111111111a11'])(
    'a value that is no card number is refused before anything is written: %j',
    async (pan) => {
      await expect(manager().save([newCard(OTHER), newCard(pan)])).rejects.toMatchObject({
        code: 'ERR_SEAL_VALUE',
      });
      expect(await manager().count(MaskedCard)).toBe(0);
      expect(shop.recorder.of('INSERT')).toEqual([]);
    },
  );
});

describe('a mask is read as the plain column that it is', () => {
  it('alone, without a key and without the cell', async () => {
    const card = await manager().save(newCard());
    shop.recorder.clear();
    const opened = shop.seal.stats().cellsOpened;
    const [found] = await manager().find(MaskedCard, { select: { id: true, panMask: true } });
    expect(found).toEqual({ id: card.id, panMask: '411111******1111' });
    expect(shop.recorder.of('SELECT').join()).not.toMatch(/"pan"|pan_key|pan_bidx/);
    expect(shop.seal.stats().cellsOpened).toBe(opened);
  });

  it('in searches and orders, by find options and by builders', async () => {
    await manager().save([newCard(PAN), newCard(OTHER)]);
    const masks = async (where: object) =>
      (await manager().find(MaskedCard, { where, order: { panMask: 'DESC' } })).map(({ panMask }) => panMask);
    const [visa, master] = ['411111******1111', '555555******4444'];
    expect(await masks({ panMask: visa })).toEqual([visa]);
    expect(await masks({ panMask: Like('%4444') })).toEqual([master]);
    expect(await masks({ panMask: Not(visa) })).toEqual([master]);
    expect(await masks({ panMask: In([visa, master]) })).toEqual([master, visa]);
    const operator = Like('%1111');
    for (let twice = 0; twice < 2; twice++) {
      const found = await manager()
        .createQueryBuilder(MaskedCard, 'card')
        .where({ panMask: operator })
        .orderBy('card.panMask')
        .getMany();
      expect(found.map(({ pan }) => pan)).toEqual([PAN]);
    }
    expect(
      await manager()
        .createQueryBuilder(MaskedCard, 'card')
        .where('card.panMask = :mask', { mask: master })
        .getCount(),
    ).toBe(1);
    await manager().update(MaskedCard, { panMask: master }, { note: 'found' });
    expect((await manager().findOneByOrFail(MaskedCard, { note: 'found' })).pan).toBe(OTHER);
  });
});

describe('masks of embedded and nullable fields', () => {
  it('follow their cells, under the names of the columns', async () => {
    const wallet = manager().create(Wallet, { id: 1, spare: PAN, main: { label: 'mine', pan: OTHER } });
    await manager().save(wallet);
    expect(wallet).toMatchObject({ spareMask: '1111', main: { label: 'mine', panMask: '4444' } });
    const row = await shop.raw('masked_wallets', 1);
    expect(row).toMatchObject({ card_number_mask: '1111', mainPan_mask: '4444' });

    const loaded = await reload(shop, Wallet, 1);
    loaded.main.pan = null;
    loaded.spare = '30569309025904';
    await manager().save(loaded);
    expect(loaded).toMatchObject({ spareMask: '5904', main: { label: 'mine', panMask: null } });
    expect(await reload(shop, Wallet, 1)).toEqual(loaded);
    shop.recorder.clear();
    await manager().save(loaded);
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('stay as they are where an embedded object is written without its value', async () => {
    const masks = async () => {
      const { mainPan_mask, mainLabel } = await shop.raw('masked_wallets', 2);
      return [mainPan_mask, mainLabel];
    };
    await manager().save(Wallet, { id: 2, main: { label: 'one', pan: PAN } });
    const loaded = await reload(shop, Wallet, 2);
    Object.assign(loaded.main, { label: 'two', panMask: 'by hand' });
    await manager().save(loaded);
    expect(await masks()).toEqual(['1111', 'two']);
    const main = { label: 'three', pan: undefined, panMask: undefined };
    await manager().update(Wallet, 2, { main } as object);
    expect(await masks()).toEqual(['1111', 'three']);
    expect((await reload(shop, Wallet, 2)).main).toMatchObject({ label: 'three', pan: PAN, panMask: '1111' });
  });
});

describe('without attach', () => {
  it('a mask is neither written nor searched, and the schema is the same', async (context) => {
    needs(context, 'a DataSource that is not attached');
    const plain = await dataSourceOf(shop.database.url, [MaskedCard, Wallet]).initialize();
    try {
      await expect(plain.manager.insert(Wallet, { id: 9, spareMask: '1111' })).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
      await expect(plain.manager.findBy(Wallet, { spareMask: '1111' })).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
      expect((await plain.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
    } finally {
      await plain.destroy();
    }
  });
});
