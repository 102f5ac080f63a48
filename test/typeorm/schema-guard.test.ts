/** What a schema change would throw away in silence: columns that become encrypted, cells, and what stands beside them. */
import 'reflect-metadata';
import {
  ChildEntity,
  Column,
  Entity,
  Index,
  PrimaryColumn,
  TableInheritance,
  type DataSource,
  type DataSourceOptions,
} from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FreshDatabase } from '../database.js';
import { attachFieldSeal, Encrypted, fillBlindIndexes, type AttachOptions } from '../../src/typeorm/index.js';
import { databaseName, dialect } from './databases.js';
import { newRole } from './role.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('cards')
class PlainCard {
  @PrimaryColumn('int') id!: number;
  @Index() @Column('varchar', { length: 40, nullable: true }) pan!: string | null;
}

@Entity('cards')
class Card {
  @PrimaryColumn('int') id!: number;
  @Encrypted({ purpose: 'card-number', blindIndex: true, nullable: true }) pan!: string | null;
}

const PAN = '4111111111111111';
const VARCHAR = databaseName === 'postgres' ? 'character varying' : 'varchar';
const CELL = { postgres: 'bytea', mariadb: 'longblob', sqljs: 'blob' }[databaseName];

let shop: Shop;
let database: FreshDatabase;
beforeAll(async () => (shop = await openShop({ entities: [Card] })));
beforeEach(async () => (database = await dialect.fresh()));
afterEach(() => database.drop());
afterAll(() => shop.close());

/** Opens a DataSource over the database of the test, works with it and closes it. */
async function over<T>(dataSource: DataSource, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  await dataSource.initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

let options: Partial<DataSourceOptions> = {};
const schemaOnly = (
  entities: NonNullable<DataSourceOptions['entities']>,
  attach?: AttachOptions,
): DataSource => attachFieldSeal(dataSourceOf(database.url, entities, options), 'schema-only', attach);
const attached = (entities: NonNullable<DataSourceOptions['entities']>, attach?: AttachOptions): DataSource =>
  attachFieldSeal(dataSourceOf(database.url, entities, options), shop.seal, attach);

/** A field seal knows one declaration of each field, so another release of the application has one of its own. */
async function release<T>(
  entity: new () => object,
  work: (dataSource: DataSource, seal: Shop['seal']) => Promise<T>,
): Promise<T> {
  const other = await openShop({ beside: shop, entities: [] });
  try {
    const dataSource = attachFieldSeal(dataSourceOf(database.url, [entity]), other.seal);
    return await over(dataSource, () => work(dataSource, other.seal));
  } finally {
    await other.close();
  }
}

/** A table as an older release has made it, with rows. */
const older = (entity: new () => object, ...rows: object[]): Promise<void> =>
  over(attached([entity]), async (dataSource) => {
    await dataSource.synchronize();
    await dataSource.manager.insert(entity, rows);
  });

const log = async ({ driver }: DataSource): Promise<string[]> =>
  (await driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);
const synchronize = (dataSource: DataSource): Promise<void> => dataSource.synchronize();
const changes = (...entities: (new () => object)[]): Promise<string[]> => over(schemaOnly(entities), log);

const refusal = (code: string, ...parts: string[]): object => ({
  code,
  message: expect.stringMatching(new RegExp(parts.join('.*'), 'su')) as string,
});

describe('a column that becomes encrypted', () => {
  const refused = refusal(
    'ERR_CONFIG_PLAINTEXT_COLUMN',
    'cards\\.pan',
    `${VARCHAR}\\(40\\)`,
    CELL,
    'Card\\.pan',
    'existing-table',
    databaseName === 'sqljs' ? 'set them to NULL' : 'discardColumns',
  );
  const textOf = async (): Promise<unknown[]> =>
    (await database.query('SELECT "pan" FROM "cards" ORDER BY "id"')).map(({ pan }) => pan);

  it.each([
    ['migration:generate, attached', attached, log],
    ['migration:generate, attached for the schema only', schemaOnly, log],
    ['synchronize, attached', attached, synchronize],
    ['synchronize, attached for the schema only', schemaOnly, synchronize],
  ])(
    'is refused while it holds values: %s',
    async (_, attach, change: (d: DataSource) => Promise<unknown>) => {
      await older(PlainCard, { id: 1, pan: PAN }, { id: 2, pan: null });
      await over(attach([Card]), async (dataSource) => {
        await expect(change(dataSource)).rejects.toMatchObject(refused);
        // A refusal leaves the connection as it was.
        await expect(change(dataSource)).rejects.toMatchObject(refused);
      });
      expect(await textOf()).toEqual([PAN, null]);
    },
  );

  it('is refused where row-level security hides the rows from the role', async (context) => {
    if (databaseName !== 'postgres') return context.skip('only PostgreSQL has row-level security');
    await older(PlainCard, { id: 1, pan: PAN });
    const role = await newRole(database, 'ALL ON SCHEMA public');
    for (const change of [
      `OWNER TO ${new URL(role.url).username}`,
      'ENABLE ROW LEVEL SECURITY',
      'FORCE ROW LEVEL SECURITY',
    ])
      await database.query(`ALTER TABLE cards ${change}`);
    try {
      const asRole = (attach?: AttachOptions): DataSource =>
        attachFieldSeal(dataSourceOf(role.url, [Card], options), 'schema-only', attach);
      await over(asRole(), async (dataSource) => {
        await expect(synchronize(dataSource)).rejects.toMatchObject(
          refusal(
            'ERR_CONFIG_PLAINTEXT_COLUMN',
            'cards\\.pan',
            'row-level security',
            'BYPASSRLS',
            'discardColumns',
          ),
        );
      });
      expect(await textOf()).toEqual([PAN]);
      expect(await over(asRole({ discardColumns: ['cards.pan'] }), log)).not.toEqual([]);
    } finally {
      await role.drop();
    }
  });

  it('is refused when the application starts with synchronize', async () => {
    await older(PlainCard, { id: 1, pan: PAN });
    const dataSource = attachFieldSeal(dataSourceOf(database.url, [Card], { synchronize: true }), shop.seal);
    await expect(dataSource.initialize()).rejects.toMatchObject(refused);
    expect(await textOf()).toEqual([PAN]);
  });

  it('never has a value in the message', async () => {
    await older(PlainCard, { id: 1, pan: PAN });
    await over(schemaOnly([Card]), async (dataSource) => {
      await expect(log(dataSource)).rejects.toThrow(/^(?!.*4111)/su);
    });
  });

  it('changes where it holds no value, and a second time there is nothing to change', async () => {
    await older(PlainCard, { id: 1, pan: null });
    await over(attached([Card]), async (dataSource) => {
      await dataSource.synchronize();
      await dataSource.manager.save(Card, { id: 1, pan: PAN });
      expect(await dataSource.manager.findOneBy(Card, { pan: PAN })).toEqual({ id: 1, pan: PAN });
      expect(await log(dataSource)).toEqual([]);
    });
  });

  it.each([
    ['attached', attached],
    ['attached for the schema only', schemaOnly],
  ])('changes where its values may go: %s', async (_, attach) => {
    await older(PlainCard, { id: 1, pan: PAN });
    await over(attach([Card], { discardColumns: ['cards.pan'] }), async (dataSource) => {
      // SQLite would take the values along into the new column.
      if (databaseName === 'sqljs') {
        await expect(log(dataSource)).rejects.toThrow('set them to NULL first');
        await database.query('UPDATE cards SET pan = NULL');
      }
      await dataSource.synchronize();
      expect(await log(dataSource)).toEqual([]);
    });
    expect(await textOf()).toEqual([null]);
  });

  it('changes where the whole database is to be dropped before', async () => {
    await older(PlainCard, { id: 1, pan: PAN });
    await over(attached([Card]), async (dataSource) => {
      await dataSource.synchronize(true);
      expect(await dataSource.manager.find(Card)).toEqual([]);
    });
  });

  it('is refused for the column of another table alone', async () => {
    await older(PlainCard, { id: 1, pan: PAN });
    const dataSource = schemaOnly([Card], {
      discardColumns: ['card.pan', 'other.cards.pan', 'cards.pan_key'],
    });
    await over(dataSource, async () => {
      await expect(log(dataSource)).rejects.toMatchObject(refused);
    });
  });

  it('is refused under a prefix of tables', async () => {
    options = { entityPrefix: 'shop_' };
    try {
      await older(PlainCard, { id: 1, pan: PAN });
      await expect(changes(Card)).rejects.toMatchObject(
        refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'shop_cards\\.pan'),
      );
    } finally {
      options = {};
    }
  });

  if (databaseName === 'postgres')
    it('is refused in another schema', async () => {
      @Entity('cards', { schema: 'billing' })
      class PlainElsewhere {
        @PrimaryColumn('int') id!: number;
        @Column('text', { array: true }) pan!: string[];
      }
      @Entity('cards', { schema: 'billing' })
      class Elsewhere {
        @PrimaryColumn('int') id!: number;
        @Encrypted({ purpose: 'card-number', nullable: true }) pan!: string | null;
      }
      await database.query('CREATE SCHEMA billing');
      await older(PlainElsewhere, { id: 1, pan: [PAN] });
      await expect(changes(Elsewhere)).rejects.toMatchObject(
        refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'billing\\.cards\\.pan', 'text\\[\\]', 'bytea'),
      );
    });

  it('is refused where a child of a single-table hierarchy declares it', async () => {
    @Entity('people')
    @TableInheritance({ column: { type: 'varchar', name: 'kind' } })
    class PlainPerson {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { nullable: true }) phone!: string | null;
    }
    @Entity('people')
    @TableInheritance({ column: { type: 'varchar', name: 'kind' } })
    class Person {
      @PrimaryColumn('int') id!: number;
    }
    @ChildEntity('employee')
    class Employee extends Person {
      @Encrypted({ purpose: 'personal-data', nullable: true }) phone!: string | null;
    }
    await older(PlainPerson, { id: 1, phone: '+49 30 1234' });
    await expect(changes(Person, Employee)).rejects.toMatchObject(
      refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'people\\.phone'),
    );
  });

  it('is refused where it gets another name at the same time', async () => {
    @Entity('cards')
    class Renamed {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', name: 'pan_cell', nullable: true }) pan!: string | null;
    }
    await older(PlainCard, { id: 1, pan: PAN });
    await expect(changes(Renamed)).rejects.toMatchObject(
      refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'cards\\.pan', VARCHAR, 'pan_cell', CELL),
    );
  });

  it('stays beside the new one, and is dropped when that is there', async () => {
    @Entity('cards')
    class Both extends PlainCard {
      @Encrypted({ purpose: 'card-number', name: 'pan_cell', nullable: true }) number!: string | null;
    }
    @Entity('cards')
    class Moved {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', name: 'pan_cell', nullable: true }) number!: string | null;
    }
    await older(PlainCard, { id: 1, pan: PAN });
    await over(attached([Both]), async (dataSource) => {
      await dataSource.synchronize();
      await dataSource.manager.update(Both, { id: 1 }, { number: PAN });
    });
    await over(attached([Moved]), async (dataSource) => {
      await dataSource.synchronize();
      expect(await dataSource.manager.find(Moved)).toEqual([{ id: 1, number: PAN }]);
    });
  });

  it('takes the name of a sibling from no column that holds values', async () => {
    @Entity('cards')
    class WithKey {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { length: 40 }) pan_key!: string;
    }
    await older(WithKey, { id: 1, pan_key: 'front door' });
    await expect(changes(Card)).rejects.toMatchObject(
      refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'cards\\.pan_key', VARCHAR),
    );
  });
});

describe('cells', () => {
  const refused = refusal('ERR_CONFIG_CELL_COLUMN', 'cards\\.pan', CELL);
  beforeEach(() => older(Card, { id: 1, pan: PAN }));

  it('are kept when the field is no longer encrypted', async () => {
    await expect(changes(PlainCard)).rejects.toMatchObject(refused);
    await over(schemaOnly([PlainCard]), async (dataSource) => {
      await expect(synchronize(dataSource)).rejects.toMatchObject(refused);
    });
    await over(attached([Card]), async ({ manager }) => {
      expect(await manager.find(Card)).toEqual([{ id: 1, pan: PAN }]);
    });
  });

  it('are kept when the field is renamed, which TypeORM takes for a new one', async () => {
    @Entity('cards')
    class Renamed {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', blindIndex: true, nullable: true }) number!: string | null;
    }
    await expect(changes(Renamed)).rejects.toMatchObject(refused);
  });

  it('are kept when the field is gone, and go where that is said', async () => {
    @Entity('cards')
    class Bare {
      @PrimaryColumn('int') id!: number;
    }
    await expect(changes(Bare)).rejects.toMatchObject(refused);
    await over(schemaOnly([Bare], { discardColumns: ['cards.pan'] }), async (dataSource) => {
      await dataSource.synchronize();
      expect(await log(dataSource)).toEqual([]);
    });
  });

  it('are not left without a fingerprint', async () => {
    @Entity('cards')
    class OtherKey {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', blindIndex: true, nullable: true, keyColumn: 'key_of_pan' })
      pan!: string | null;
    }
    await expect(changes(OtherKey)).rejects.toMatchObject(
      refusal('ERR_CONFIG_CELL_COLUMN', 'cards\\.key_of_pan'),
    );
  });

  it('are not left without the index by which they are searched, unless it is made later', async () => {
    @Entity('unsearched')
    class Unsearched {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true }) pan!: string | null;
    }
    @Entity('unsearched')
    class Searched {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true, blindIndex: true }) pan!: string | null;
    }
    @Entity('unsearched')
    class SearchedLater {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true, blindIndex: { later: true } }) pan!: string | null;
    }
    await older(Unsearched, { id: 1, pan: PAN });
    await expect(changes(Searched)).rejects.toMatchObject(
      refusal('ERR_CONFIG_CELL_COLUMN', 'unsearched\\.pan_bidx', 'later: true'),
    );
    expect((await changes(SearchedLater)).join()).toContain('pan_bidx');
  });

  describe('of a table with rows', () => {
    @Entity('unmasked')
    class Unmasked {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true }) pan!: string | null;
    }
    @Entity('unmasked')
    class Masked {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true, mask: 'last4' }) pan!: string | null;
      readonly panMask?: string | null;
    }
    const refusedMask = refusal(
      'ERR_CONFIG_CELL_COLUMN',
      'unmasked\\.pan_mask',
      'Masked\\.pan',
      'addColumn',
      'update',
    );
    const find = ({ manager }: DataSource): Promise<Masked[]> => manager.find(Masked, { order: { id: 1 } });

    it('are not left without their mask, which every row would show as null', async () => {
      await older(Unmasked, { id: 1, pan: null }, { id: 2, pan: PAN });
      for (const change of [log, synchronize])
        await over(schemaOnly([Masked]), async (dataSource) => {
          await expect(change(dataSource)).rejects.toMatchObject(refusedMask);
        });
      await over(attached([Unmasked]), async ({ manager }) => {
        expect(await manager.findOneBy(Unmasked, { id: 2 })).toEqual({ id: 2, pan: PAN });
      });
    });

    it('have their mask where the column is added by hand and their values are written again', async () => {
      await older(Unmasked, { id: 1, pan: null }, { id: 2, pan: PAN });
      await database.query('ALTER TABLE unmasked ADD COLUMN pan_mask varchar(32)');
      expect(await changes(Masked)).toEqual([]);
      await release(Masked, async (dataSource) => {
        for (const { id, pan } of await find(dataSource))
          await dataSource.manager.update(Masked, { id }, { pan });
        expect(await find(dataSource)).toEqual([
          { id: 1, pan: null, panMask: null },
          { id: 2, pan: PAN, panMask: '1111' },
        ]);
      });
    });

    it('get a mask where none of them has a value', async () => {
      await older(Unmasked, { id: 1, pan: null });
      expect((await changes(Masked)).join()).toContain('pan_mask');
    });

    it('stay without their mask when it is declared no more', async () => {
      await release(Masked, async (dataSource) => {
        await dataSource.synchronize();
        await dataSource.manager.insert(Masked, { id: 1, pan: PAN });
      });
      await over(attached([Unmasked]), async (dataSource) => {
        await dataSource.synchronize();
        expect(await log(dataSource)).toEqual([]);
        expect(await dataSource.manager.find(Unmasked)).toEqual([{ id: 1, pan: PAN }]);
      });
      const [row] = await database.query('SELECT * FROM unmasked');
      expect(Object.keys(row!).sort()).toEqual(['id', 'pan', 'pan_key']);
    });
  });

  it('stay without their blind index when it is declared no more, and have it again when it is made later', async () => {
    @Entity('cards')
    class Unsearched {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true }) pan!: string | null;
    }
    @Entity('cards')
    class SearchedLater {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', nullable: true, blindIndex: { later: true } }) pan!: string | null;
    }
    await release(Unsearched, async (dataSource) => {
      await dataSource.synchronize();
      expect(await log(dataSource)).toEqual([]);
      expect(await dataSource.manager.find(Unsearched)).toEqual([{ id: 1, pan: PAN }]);
      await expect(dataSource.manager.findBy(Unsearched, { pan: PAN })).rejects.toMatchObject({
        code: 'ERR_QUERY_NO_BLIND_INDEX',
      });
    });
    await expect(changes(Card)).rejects.toMatchObject(
      refusal('ERR_CONFIG_CELL_COLUMN', 'cards\\.pan_bidx', 'later: true'),
    );
    await release(SearchedLater, async (dataSource, seal) => {
      await dataSource.synchronize();
      expect(await fillBlindIndexes(dataSource, seal)).toMatchObject({ filled: 1 });
    });
    expect(await changes(Card)).toEqual([]);
    await over(attached([Card]), async ({ manager }) => {
      expect(await manager.findBy(Card, { pan: PAN })).toEqual([{ id: 1, pan: PAN }]);
    });
  });

  if (databaseName !== 'sqljs')
    it('keep their index when somebody gave its column another type', async () => {
      await database.query(
        databaseName === 'postgres'
          ? "ALTER TABLE cards ALTER COLUMN pan_bidx TYPE text USING encode(pan_bidx, 'hex')"
          : 'ALTER TABLE cards MODIFY pan_bidx varbinary(32)',
      );
      await expect(changes(Card)).rejects.toMatchObject(
        refusal('ERR_CONFIG_PLAINTEXT_COLUMN', 'cards\\.pan_bidx'),
      );
    });

  it('keep the columns that they are bound to', async () => {
    @Entity('bound')
    class Bound {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { length: 20 }) tenant!: string;
      @Encrypted({ purpose: 'card-number', bind: ['tenant'] }) pan!: string;
    }
    @Entity('bound')
    class BoundToMore {
      @PrimaryColumn('int') id!: number;
      @Column('text') tenant!: string;
      @Encrypted({ purpose: 'card-number', bind: ['tenant'] }) pan!: string;
    }
    await older(Bound, { id: 1, tenant: 'acme', pan: PAN });
    await expect(changes(BoundToMore)).rejects.toMatchObject(
      refusal('ERR_CONFIG_CELL_COLUMN', 'bound\\.tenant', VARCHAR, 'text'),
    );
  });
});

if (databaseName === 'mariadb') {
  it('a field that may not be null is not added to rows, which MySQL would give empty cells', async () => {
    @Entity('cards')
    class Required extends PlainCard {
      @Encrypted({ purpose: 'card-number' }) number!: string;
    }
    await older(PlainCard, { id: 1, pan: null });
    await expect(changes(Required)).rejects.toMatchObject(
      refusal('ERR_CONFIG_FIELD', 'cards\\.number', 'nullable'),
    );
  });
}

it('leaves tables alone that have nothing to do with encryption', async () => {
  @Entity('notes')
  class Note {
    @PrimaryColumn('int') id!: number;
    @Column('varchar', { length: 40 }) text!: string;
    @Column('int') size!: number;
  }
  @Entity('notes')
  class OtherNote {
    @PrimaryColumn('int') id!: number;
    @Column('varchar', { length: 50, nullable: true }) text!: string;
  }
  await older(Note, { id: 1, text: 'as in TypeORM', size: 13 });
  expect((await changes(OtherNote, Card)).length).toBeGreaterThan(0);
});

it('has nothing against a table with rows that is as it should be', async () => {
  @Entity('full')
  class Full {
    @PrimaryColumn('int') id!: number;
    @Column('varchar', { length: 20 }) tenant!: string;
    @Encrypted({
      purpose: 'card-number',
      bind: ['tenant'],
      blindIndex: { unique: true },
      mask: 'last4',
      control: 'keyed-hash',
    })
    pan!: string;
    @Encrypted({ purpose: 'personal-data', type: 'json', nullable: true }) holder!: object | null;
  }
  await older(Full, { id: 1, tenant: 'acme', pan: PAN, holder: null });
  expect(await changes(Full)).toEqual([]);
});
