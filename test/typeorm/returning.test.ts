/** Statements with RETURNING: what they show on the objects they are about, in `generatedMaps` and in `raw`. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, DeleteDateColumn, Entity, PrimaryColumn, type EntitySubscriberInterface } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FieldSealPages } from '../../src/keys/field-seal.js';
import { attachFieldSeal, Encrypted, isSealed, openRaw } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { isAbleTo, needs } from './limits.js';
import { dataSourceOf, isCellHiding, openShop, reload, type Shop } from './shop.js';

@Entity('notes')
class Note {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { nullable: true }) title!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: true, nullable: true }) text!: string | null;
  @Encrypted({ purpose: 'personal-data', type: 'json', nullable: true }) tags!: readonly string[] | null;
  @Encrypted({ purpose: 'personal-data', type: 'bytes', nullable: true }) photo!: Buffer | null;
  @DeleteDateColumn() deletedAt!: Date | null;
}

@Entity('returned_cards')
class MaskedCard {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'card-number', mask: 'last4' }) pan!: string;
  panMask?: string | null;
}

const ENTITIES = [Card, Customer, Note, MaskedCard];

let shop: Shop;
const heard: unknown[] = [];
beforeAll(async () => {
  shop = await openShop({ entities: ENTITIES });
  const subscriber: EntitySubscriberInterface<Note> = {
    listenTo: () => Note,
    afterInsert: ({ entity }) => {
      heard.push(entity.text);
    },
  };
  shop.dataSource.subscribers.push(subscriber);
});
afterAll(() => shop.close());
afterEach(() => {
  heard.length = 0;
  shop.recorder.clear();
});

const manager = () => shop.dataSource.manager;
const builder = () => shop.dataSource.createQueryBuilder();
const newCard = (pan: string = randomUUID()): Card => Object.assign(new Card(), { pan, note: 'old' });
const newNote = (text: string): Note => Object.assign(new Note(), { text, title: 'old' });
const siblings = (map: object | undefined): string[] =>
  Object.keys(map ?? {}).filter((name) => /_(key|bidx)$/u.test(name));

describe.runIf(isAbleTo('RETURNING of an UPDATE'))('an UPDATE', () => {
  it.each<[string, string | string[]]>([
    ['*', '*'],
    ['properties', ['pan', 'note']],
  ])('shows what it wrote on the object it is about: %s', async (_, returning) => {
    const card = await manager().save(newCard());
    const pan = randomUUID();
    const result = await builder()
      .update(Card)
      .set({ pan, note: 'new' })
      .whereEntity(card)
      .returning(returning)
      .execute();
    expect(card).toMatchObject({ pan, note: 'new' });
    expect(siblings(result.generatedMaps[0])).toEqual([]);
    shop.recorder.clear();
    await manager().save(card);
    expect(shop.recorder.of('UPDATE').filter((sql) => sql.includes('"pan"'))).toEqual([]);
    expect(await reload(shop, Card, card.id)).toMatchObject({ pan, note: 'new' });
  });

  it('shows what another process wrote meanwhile, which the next save leaves alone', async () => {
    const card = await manager().save(newCard());
    const pan = randomUUID();
    await manager().update(Card, { id: card.id }, { pan });
    await builder().update(Card).set({ note: 'new' }).whereEntity(card).returning(['pan']).execute();
    expect(card.pan).toBe(pan);
    await manager().save(card);
    expect((await reload(shop, Card, card.id)).pan).toBe(pan);
  });

  it('gives each of several objects its own row, in whatever order the database returns them', async () => {
    const notes = await manager().save([newNote('one'), newNote('two'), newNote('three')]);
    // The rows lie in another order now than they were made in.
    await manager().update(Note, { id: notes[0]!.id }, { title: 'moved' });
    await manager().update(Note, { id: notes[1]!.id }, { title: 'moved' });
    for (const returning of ['*', ['text']]) {
      const update = builder().update(Note).set({ title: 'new' }).whereEntity(notes).returning(returning);
      await update.execute();
      expect(notes.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
      expect(new Set(notes.map(({ id }) => id)).size).toBe(3);
    }
  });

  it('shows NULL, JSON and bytes as the row holds them', async () => {
    const note = await manager().save(newNote('old'));
    const values = { text: null, tags: ['a'], photo: Buffer.from('photo') };
    await builder().update(Note).set(values).whereEntity(note).returning('*').execute();
    expect(note).toMatchObject(values);
    await manager().update(Note, { id: note.id }, { tags: ['b'], photo: Buffer.from('other') });
    await builder().update(Note).set({ title: 'new' }).whereEntity(note).returning('*').execute();
    expect(note).toMatchObject({ tags: ['b'], photo: Buffer.from('other') });
  });

  it('leaves an object alone that updateEntity(false) is said of', async () => {
    const card = await manager().save(newCard());
    const { pan } = card;
    const update = builder().update(Card).set({ pan: randomUUID() }).whereEntity(card);
    await update.updateEntity(false).returning('*').execute();
    expect(card.pan).toBe(pan);
  });

  it('refuses text that returns a bound cell, perhaps without what it is bound to, before anything is sent', async () => {
    const card = await manager().save(newCard());
    shop.recorder.clear();
    const update = builder().update(Card).set({ note: 'new' }).whereEntity(card).returning('"pan"');
    await expect(update.execute()).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    expect(shop.recorder.of('UPDATE')).toEqual([]);
  });

  it('opens nothing for text that returns no cell', async () => {
    const card = await manager().save(newCard());
    await builder().update(Card).set({ note: 'new' }).whereEntity(card).returning('id, note').execute();
    expect(card.note).toBe('new');
  });

  it('shows the mask of the row', async () => {
    const card = await manager().save(Object.assign(new MaskedCard(), { pan: '4111111111111111' }));
    await manager().update(MaskedCard, { id: card.id }, { pan: '4111111111112222' });
    await builder().update(MaskedCard).set({ note: 'new' }).whereEntity(card).returning('*').execute();
    expect(card).toMatchObject({ pan: '4111111111112222', panMask: '2222' });
  });

  it('shows the row on an object that is soft deleted or restored', async () => {
    const note = await manager().save(newNote('old'));
    await manager().update(Note, { id: note.id }, { text: 'new' });
    const gone = await builder().softDelete().from(Note).whereEntity(note).returning('*').execute();
    expect(note).toMatchObject({ text: 'new', deletedAt: expect.any(Date) as unknown });
    expect(siblings(gone.generatedMaps[0])).toEqual([]);
    await manager().update(Note, { id: note.id }, { text: 'newer' });
    await builder().restore().from(Note).whereEntity(note).returning('*').execute();
    expect(note).toMatchObject({ text: 'newer', deletedAt: null });
  });
});

describe.runIf(isAbleTo('RETURNING'))('an INSERT', () => {
  const upsert = (row: Row, overwrite: string[], returning: string | string[] = '*') =>
    builder().insert().into(Note).values(row).orUpdate(overwrite, ['id']).returning(returning).execute();

  it('shows plaintext on its objects, to listeners as well', async () => {
    const note = newNote('text');
    const result = await builder().insert().into(Note).values(note).returning('*').execute();
    expect(note.text).toBe('text');
    expect(heard).toEqual(['text']);
    expect(siblings(result.generatedMaps[0])).toEqual([]);
  });

  it('shows the stored value where an upsert keeps it', async () => {
    const stored = await manager().save(newNote('stored'));
    for (const returning of ['*', ['text']]) {
      const row: Row = { id: stored.id, title: 'new', text: 'of the caller' };
      await upsert(row, ['title'], returning);
      expect(row.text).toBe('stored');
      await manager().save(Note, row);
      expect((await reload(shop, Note, stored.id)).text).toBe('stored');
    }
  });

  it('shows the new value where an upsert overwrites it', async () => {
    const stored = await manager().save(newNote('stored'));
    const row: Row = { id: stored.id, text: 'new' };
    await upsert(row, ['text']);
    expect(row).toMatchObject({ text: 'new', title: 'old' });
    expect((await reload(shop, Note, stored.id)).text).toBe('new');
  });

  it('opens a bound cell that is kept', async () => {
    const stored = await manager().save(newCard());
    const row: Row = { id: stored.id, note: 'new', pan: randomUUID() };
    const insert = builder().insert().into(Card).values(row).orUpdate(['note'], ['id']).returning(['pan']);
    const rows = rowsOf(await insert.execute());
    expect(row.pan).toBe(stored.pan);
    expect(Object.keys(rows[0]!)).toEqual(['pan']);
  });

  it('gives the caller of a write-only field seal its own value back, and the stored one sealed', async () => {
    const seal = new Proxy(shop.seal, {
      get: (target, name) => {
        if (name === 'access') return 'write-only';
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    }) as FieldSealPages;
    const web = await attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), seal).initialize();
    try {
      const insert = (row: Row) => web.createQueryBuilder().insert().into(Note).values(row);
      const row: Row = { id: randomUUID(), text: 'own' };
      await insert(row).returning('*').execute();
      expect(row.text).toBe('own');
      await insert(row).orUpdate(['title'], ['id']).returning('*').execute();
      expect(isSealed(row.text)).toBe(true);
    } finally {
      await web.destroy();
    }
  });
});

describe.runIf(isAbleTo('RETURNING'))('raw', () => {
  const cells = { text: 'text', title: 'title', id: 'id' };

  it('holds cells as the database returned them, which openRaw opens', async () => {
    const rows = rowsOf(await builder().insert().into(Note).values(newNote('text')).returning('*').execute());
    expect(isCellHiding(rows[0]!.text, 'text')).toBe(true);
    expect(rows[0]).toHaveProperty('text_key');
    expect((await openRaw(shop.dataSource, Note, rows, cells))[0]!.text).toBe('text');
  });

  it('holds them of a DELETE, which is about no object', async () => {
    const note = await manager().save(newNote('gone'));
    const remove = builder().delete().from(Note).where({ id: note.id }).returning('*');
    const rows = rowsOf(await remove.execute());
    expect(isCellHiding(rows[0]!.text, 'gone')).toBe(true);
    expect((await openRaw(shop.dataSource, Note, rows, cells))[0]!.text).toBe('gone');
  });

  it('holds them of an UPDATE', async (context) => {
    needs(context, 'RETURNING of an UPDATE');
    const note = await manager().save(newNote('old'));
    const update = builder().update(Note).set({ text: 'new' }).whereEntity(note).returning('*');
    const rows = rowsOf(await update.execute());
    expect(isCellHiding(rows[0]!.text, 'new')).toBe(true);
    expect((await openRaw(shop.dataSource, Note, rows, cells))[0]!.text).toBe('new');
  });
});

type Row = Record<string, unknown>;

const rowsOf = (result: { readonly raw: unknown }): Row[] => result.raw as Row[];
