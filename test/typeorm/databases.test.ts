/** Columns of each database, DataSources of several kinds in one process, and what the MySQL family does differently. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';
import { databaseName, type DatabaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { dataSourceOf, openShop, reload, type Shop } from './shop.js';

@Entity('labels')
class Label {
  @PrimaryColumn('varchar') id!: string;
  @Column('text', { nullable: true }) note!: string | null;
  @Encrypted({ purpose: 'personal-data', blindIndex: { unique: true }, bind: ['id'] }) text!: string;
}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer, Label] })));
afterAll(() => shop.close());

const TYPES: Readonly<Record<DatabaseName, readonly string[]>> = {
  postgres: ['bytea', 'uuid', 'bytea'],
  mariadb: ['longblob', 'binary(16)', 'binary(16)'],
  sqljs: ['blob', 'blob', 'blob'],
};

const typesOf = ({ driver, entityMetadatas }: DataSource): string[] => {
  const { columns } = entityMetadatas.find(({ target }) => target === Card)!;
  return ['pan', 'pan_key', 'pan_bidx'].map((name) => {
    const { type, length } = columns.find(({ propertyName }) => propertyName === name)!;
    return driver.createFullType({ type, length } as never);
  });
};

describe('columns', () => {
  it('have the types of the database', () => {
    expect(typesOf(shop.dataSource)).toEqual(TYPES[databaseName]);
  });

  it('have the types of each database when DataSources of several kinds are built at once', async () => {
    const built = (['postgres', 'mariadb', 'better-sqlite3'] as const).map(async (type) => {
      const dataSource = attachFieldSeal(unconnected(type), 'schema-only');
      await (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
      return typesOf(dataSource);
    });
    expect(await Promise.all(built)).toEqual([TYPES.postgres, TYPES.mariadb, TYPES.sqljs]);
    expect(typesOf(shop.dataSource)).toEqual(TYPES[databaseName]);
  });

  it('hold a cell of any length', async () => {
    const name = 'x'.repeat(100_000);
    const { id } = await shop.dataSource.manager.save(Object.assign(new Customer(), { name, cards: [] }));
    expect((await reload(shop, Customer, id)).name).toBe(name);
  });

  it('hold the fingerprint of the cell, which is compared where it is selected', async () => {
    const { id } = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: '4111111111111111' }));
    const select = () =>
      shop.dataSource.createQueryBuilder(Card, 'card').addSelect('card.pan_key').where({ id }).getOneOrFail();
    expect((await select()).pan).toBe('4111111111111111');
    await shop.tamper('cards', id, { pan_key: randomUUID() });
    await expect(select()).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });
});

describe('attachFieldSeal', () => {
  it.each(['mssql', 'oracle', 'mongodb', 'spanner', 'sap', 'aurora-mysql', 'cordova'])(
    'refuses %s and names what is supported',
    (type) => {
      const other = { options: { type } } as unknown as DataSource;
      expect(() => attachFieldSeal(other, shop.seal)).toThrow(/of type .*postgres.*mariadb.*sqljs/u);
    },
  );

  it('comes before initialize() wherever types differ from those of PostgreSQL', async () => {
    @Entity()
    class Plain {
      @PrimaryColumn('int') id!: number;
    }
    const late = await dataSourceOf(shop.database.url, [Plain]).initialize();
    const attach = () => attachFieldSeal(late, shop.seal);
    try {
      if (databaseName === 'postgres') expect(attach()).toBe(late);
      else expect(attach).toThrow(/Call attachFieldSeal before initialize/u);
    } finally {
      await late.destroy();
    }
  });
});

const label = (id: string, text: string): Label => Object.assign(new Label(), { id, text });
const upsert = (id: string, text: string, overwrite: string[]) =>
  shop.dataSource.createQueryBuilder().insert().into(Label).values({ id, text }).orUpdate(overwrite, ['id']);

describe('a cell bound to a text', () => {
  it('is saved with its row', async () => {
    const saved = await shop.dataSource.manager.save(label('saved', 'first'));
    saved.text = 'second';
    await shop.dataSource.manager.save(saved);
    expect((await reload(shop, Label, 'saved')).text).toBe('second');
  });

  it('is upserted with the row that the statement names', async (context) => {
    needs(context, 'an upsert by the key that it names');
    await upsert('named', 'before', ['text']).execute();
    await upsert('named', 'after', ['text']).execute();
    expect((await reload(shop, Label, 'named')).text).toBe('after');
  });
});

function inTheMysqlFamily(): void {
  it('bytes of a fixed number are bound in full, since the database fills them up', async () => {
    @Entity('fixed')
    class Fixed {
      @PrimaryColumn('binary', { length: 4 }) id!: Buffer;
      @Encrypted({ purpose: 'personal-data', bind: ['id'] }) text!: string;
    }
    const dataSource = attachFieldSeal(dataSourceOf(shop.database.url, [Fixed]), shop.seal);
    const { manager } = await dataSource.initialize();
    try {
      await dataSource.synchronize();
      await manager.insert(Fixed, { id: Buffer.from('abcd'), text: 'full' });
      expect(await manager.find(Fixed)).toMatchObject([{ text: 'full' }]);
      await expect(manager.insert(Fixed, { id: Buffer.from('ab'), text: 'short' })).rejects.toThrow(
        'expected 4 bytes, as many as its column has, got 2',
      );
    } finally {
      await dataSource.destroy();
    }
  });

  it('a cell is sealed for the text of its row, where criteria give one that the database takes for equal', async () => {
    await shop.dataSource.manager.save(label('acme', 'one'));
    for (const criteria of [{ id: 'ACME' }, 'ACME']) {
      const text = `for ${typeof criteria}`;
      await shop.dataSource.manager.update(Label, criteria, { text });
      expect(await reload(shop, Label, 'acme')).toMatchObject({ id: 'acme', text });
    }
  });

  it('an upsert that finds its row by another key leaves no cell that is bound elsewhere', async () => {
    await shop.dataSource.manager.save(label('kept', 'same'));
    await expect(upsert('new', 'same', ['text']).execute()).rejects.toMatchObject({
      code: 'ERR_SEAL_BINDING',
      message: expect.stringContaining('any unique key') as string,
    });
    await upsert('new', 'same', ['id', 'text']).execute();
    expect((await reload(shop, Label, 'new')).text).toBe('same');
  });
}
if (databaseName === 'mariadb') describe('in the MySQL family', inTheMysqlFamily);

/** A DataSource that connects to nothing. Its driver loads no package that is not installed. */
function unconnected(type: 'postgres' | 'mariadb' | 'better-sqlite3'): DataSource {
  return new DataSource({
    type,
    database: ':memory:',
    driver: type === 'better-sqlite3' ? () => undefined : undefined,
    entities: [Card, Customer],
  });
}
