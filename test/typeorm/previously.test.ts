/** The option `previously`: cells of an older declaration after type, bind, context or names changed. */
import 'reflect-metadata';
import { Column, Entity, In, Not, PrimaryColumn } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Encrypted, openRaw, type EncryptedOptions } from '../../src/typeorm/index.js';
import { openShop, type Shop } from './shop.js';

interface Note {
  id: string;
  tenant: string;
  secret: unknown;
}

/** A declaration of one table; each is an application of its own time. */
function noteEntity(options: EncryptedOptions, table = 'notes_of_two_times'): new () => Note {
  @Entity(table)
  class NoteOfItsTime implements Note {
    @PrimaryColumn('varchar') id!: string;
    @Column('text') tenant!: string;
    @Encrypted(options) secret!: unknown;
  }
  return NoteOfItsTime;
}

const purpose = 'personal-data';
const OLD: EncryptedOptions = { purpose, type: 'string', blindIndex: true, nullable: true };
const Old = noteEntity(OLD);

let before: Shop;
const others: Shop[] = [];
beforeAll(async () => {
  before = await openShop({ entities: [Old] });
});
afterEach(async () => {
  await Promise.all(others.splice(0).map((shop) => shop.close()));
  await before.dataSource.synchronize(true);
});
afterAll(() => before.close());

/** The application after its declaration changed. */
async function after(entity: new () => Note): Promise<Shop> {
  const shop = await openShop({ beside: before, entities: [entity] });
  others.push(shop);
  return shop;
}

async function write(shop: Shop, entity: new () => Note, id: string, secret: unknown): Promise<void> {
  await shop.dataSource.manager.save(Object.assign(new entity(), { id, tenant: `tenant of ${id}`, secret }));
}

const read = async (shop: Shop, entity: new () => Note, id: string): Promise<unknown> =>
  (await shop.dataSource.manager.findOneByOrFail(entity, { id })).secret;

const FAILED = { code: 'ERR_OPEN_FAILED' };

const CHANGES: [string, EncryptedOptions, EncryptedOptions['previously'] & object][] = [
  ['context', { ...OLD, context: 'notes.secret' }, { context: 'notes_of_two_times.secret' }],
  ['bind', { ...OLD, bind: ['id'] }, { bind: false }],
  ['type', { purpose, type: 'json' }, { type: 'string', convert: (text: string) => ({ text }) }],
  [
    'everything',
    { purpose, type: 'json', nullable: true, bind: ['id'], context: 'notes.secret' },
    { type: 'string', bind: false, context: 'notes_of_two_times.secret', convert: (text: string) => [text] },
  ],
];

describe.each(CHANGES)('after a change of %s', (_, options, previously) => {
  const NotNamed = noteEntity(options);
  const NotAccepted = noteEntity({ ...options, previously });
  const Accepted = noteEntity({ ...options, previously, acceptPreviously: true });
  const converted = (text: string): unknown =>
    (previously.convert as ((value: string) => unknown) | undefined)?.(text) ?? text;

  it('old cells are not opened unless that is asked for', async () => {
    await write(before, Old, 'a', 'old');
    for (const entity of [NotNamed, NotAccepted]) {
      await expect(read(await after(entity), entity, 'a')).rejects.toMatchObject(FAILED);
    }
  });

  it('old and new cells are opened on one page, changed ones are refused', async () => {
    await Promise.all(['a', 'c'].map((id) => write(before, Old, id, `old ${id}`)));
    const shop = await after(Accepted);
    await Promise.all(['b', 'd'].map((id) => write(shop, Accepted, id, converted(`new ${id}`))));
    const { manager } = shop.dataSource;
    const notes = await manager.find(Accepted, { order: { id: 'ASC' } });
    expect(notes.map(({ secret }) => secret)).toEqual(['old a', 'new b', 'old c', 'new d'].map(converted));
    expect(shop.seal.stats()).toMatchObject({ cellsOpened: 4, openFailures: 0 });

    const partial = await manager.find(Accepted, { select: { secret: true }, order: { id: 'ASC' } });
    expect(partial.map((note) => Object.keys(note))).toEqual(Array(4).fill(['secret']));
    expect(partial[0]).toEqual({ secret: converted('old a') });

    const changed = (await before.raw('notes_of_two_times', 'c')).secret as Buffer;
    changed[50]! ^= 1;
    await before.tamper('notes_of_two_times', 'c', { secret: changed });
    await expect(manager.find(Accepted)).rejects.toMatchObject(FAILED);
    expect(shop.seal.stats()).toMatchObject({ openFailures: 1 });
  });

  it('an unchanged old row stays as it is, a changed one is sealed under the new declaration', async () => {
    await write(before, Old, 'a', 'old');
    const shop = await after(Accepted);
    const note = await shop.dataSource.manager.findOneByOrFail(Accepted, { id: 'a' });
    const raw = await shop.raw('notes_of_two_times', 'a');
    await shop.dataSource.manager.save(note);
    expect(await shop.raw('notes_of_two_times', 'a')).toEqual(raw);
    expect(shop.recorder.of('UPDATE')).toEqual([]);

    note.secret = converted('changed');
    await shop.dataSource.manager.save(note);
    expect(await read(await after(NotNamed), NotNamed, 'a')).toEqual(converted('changed'));
    await expect(read(before, Old, 'a')).rejects.toMatchObject(FAILED);
  });

  it('openRaw opens both', async () => {
    await write(before, Old, 'a', 'old');
    const shop = await after(Accepted);
    const rows = await before.database.query('SELECT * FROM notes_of_two_times');
    const mapping = { id: 'id', tenant: 'tenant', secret: 'secret' };
    const [row] = await openRaw(shop.dataSource, Accepted, rows, mapping);
    expect(row!.secret).toEqual(converted('old'));
  });
});

describe('cells that were bound', () => {
  const BOUND: EncryptedOptions = { ...OLD, bind: ['id', 'tenant'] };
  const Bound = noteEntity(BOUND);
  const Unbound = noteEntity({ ...OLD, previously: { bind: ['id', 'tenant'] }, acceptPreviously: true });

  it('are opened with the columns they were bound to, which are not left on the entity', async () => {
    await write(await after(Bound), Bound, 'a', 'bound');
    const shop = await after(Unbound);
    expect(await read(shop, Unbound, 'a')).toBe('bound');
    const partial = await shop.dataSource.manager.find(Unbound, { select: { secret: true } });
    expect(partial).toEqual([{ secret: 'bound' }]);
    await before.database.query("UPDATE notes_of_two_times SET tenant = 'another'");
    await expect(read(shop, Unbound, 'a')).rejects.toMatchObject(FAILED);
  });
});

describe('a search by blind index', () => {
  it('finds rows of a context before, alone, in lists and in negations', async () => {
    const Renamed = noteEntity({
      ...OLD,
      context: 'notes.secret',
      previously: { context: 'notes_of_two_times.secret' },
      acceptPreviously: true,
    });
    await write(before, Old, 'a', 'old');
    const shop = await after(Renamed);
    await write(shop, Renamed, 'b', 'new');
    const idsOf = async (secret: unknown) =>
      (await shop.dataSource.manager.find(Renamed, { where: { secret: secret as string } })).map(
        ({ id }) => id,
      );
    expect(await idsOf('old')).toEqual(['a']);
    expect(await idsOf('new')).toEqual(['b']);
    expect((await idsOf(In(['old', 'new']))).sort()).toEqual(['a', 'b']);
    expect(await idsOf(Not('old'))).toEqual(['b']);
    // An upsert would not see the old row and make a second one.
    await expect(
      shop.dataSource.manager.upsert(Renamed, { id: 'c', tenant: '', secret: 'old' }, ['secret']),
    ).rejects.toMatchObject({ code: 'ERR_QUERY_UNSUPPORTED' });
    await shop.database.query(
      "UPDATE notes_of_two_times SET secret_bidx = (SELECT secret_bidx FROM notes_of_two_times WHERE id = 'a')",
    );
    await expect(idsOf('old')).rejects.toMatchObject(FAILED);
  });

  it('finds rows of a type before, by what they were indexed as', async () => {
    const numbers = { purpose, type: 'number', blindIndex: true } as const;
    const Numbers = noteEntity(numbers);
    const Texts = noteEntity({
      ...OLD,
      previously: {
        type: 'number',
        convert: (value: number) => `no. ${value}`,
        revert: (text: string) => (/^no\. \d+$/.test(text) ? Number(text.slice(4)) : undefined),
      },
      acceptPreviously: true,
    });
    await write(await after(Numbers), Numbers, 'a', 42);
    const shop = await after(Texts);
    await write(shop, Texts, 'b', 'new');
    const { manager } = shop.dataSource;
    expect(await manager.findBy(Texts, { secret: 'no. 42' })).toMatchObject([{ id: 'a', secret: 'no. 42' }]);
    expect(await manager.findBy(Texts, { secret: 'new' })).toMatchObject([{ id: 'b' }]);
  });
});

describe('convert', () => {
  it.each<[string, (value: string) => unknown]>([
    [
      'an error',
      (value) => {
        throw new Error(`cannot convert ${value}`);
      },
    ],
    ['nothing', () => null],
    ['another value', (value) => value],
    ['a promise', () => Promise.resolve(1)],
  ])('that gives %s refuses the row and shows no value', async (got, convert) => {
    await write(before, Old, 'a', 'top-secret');
    const Number_ = noteEntity({
      purpose,
      type: 'number',
      previously: { type: 'string', convert },
      acceptPreviously: true,
    });
    const failure: unknown = await read(await after(Number_), Number_, 'a').catch((error: unknown) => error);
    expect(failure).toMatchObject(FAILED);
    expect(failure).not.toHaveProperty('cause');
    expect(String(failure)).toContain(`to return a value of type 'number', got ${got}`);
    expect(String(failure)).not.toContain('top-secret');
  });
});

describe('a declaration', () => {
  const refused = async (options: EncryptedOptions, code: string, message: RegExp): Promise<void> => {
    const declare = () => openShop({ beside: before, entities: [noteEntity(options)] });
    const failure: unknown = await Promise.resolve()
      .then(declare)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(String(failure)).toMatch(message);
  };

  it.each<[object, RegExp]>([
    [{ previously: {} }, /one of type, bind and context/],
    [{ acceptPreviously: true }, /previously, the older declaration/],
    [{ previously: { application: 'shop-2' } }, /no application .*recrypt the cells with a field seal/],
    [{ previously: { environment: 'staging' } }, /no environment .*recrypt the cells with a field seal/],
    [{ previously: { type: 'text' } }, /one of 'string'/],
    [{ previously: { context: 'nodot' } }, /'entity.field'/],
  ])('is refused where it says nothing, or what cannot be: %j', async (options, message) => {
    await refused({ ...OLD, ...options }, 'ERR_CONFIG_OPTION', message);
  });

  it('of another type needs convert, and revert where there is a blind index', async () => {
    const accepted = { acceptPreviously: true } as const;
    const type = 'number';
    await refused({ ...OLD, previously: { type }, ...accepted }, 'ERR_CONFIG_FIELD', /previously\.convert/);
    await refused(
      { ...OLD, previously: { type, convert: String }, ...accepted },
      'ERR_CONFIG_FIELD',
      /previously\.revert/,
    );
  });

  it('cannot take over the context of another column', async () => {
    @Entity('swapped')
    class Swapped {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose, context: 'swapped.old', type: 'string' }) one!: string;
      @Encrypted({
        purpose,
        type: 'string',
        previously: { context: 'swapped.old' },
        acceptPreviously: true,
      })
      two!: string;
    }
    await expect(openShop({ beside: before, entities: [Swapped] })).rejects.toMatchObject({
      code: 'ERR_CONFIG_DUPLICATE_CONTEXT',
    });
  });
});
