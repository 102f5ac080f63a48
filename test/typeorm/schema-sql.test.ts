/** SQL that an entity holds for the schema of its table, in which the database would compute with cells or compare them. */
import 'reflect-metadata';
import {
  Check,
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  EntitySchemaOptions,
  Exclusion,
  Index,
  PrimaryColumn,
  TableInheritance,
  Unique,
  ViewColumn,
  ViewEntity,
  VirtualColumn,
  type DataSource,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted, encryptedColumns, type AttachOptions } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());

type Entities = NonNullable<Parameters<typeof dataSourceOf>[1]> & readonly unknown[];

const attach = (
  entities: Entities,
  seal: Shop['seal'] | 'schema-only' = shop.seal,
  options?: AttachOptions,
): Promise<DataSource> =>
  attachFieldSeal(dataSourceOf(shop.database.url, entities), seal, options).initialize();

async function expectRefused(entities: Entities, message: RegExp): Promise<void> {
  for (const seal of [shop.seal, 'schema-only'] as const)
    await expect(attach(entities, seal)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FIELD',
      message: expect.stringMatching(message) as string,
    });
}

async function expectTaken(entities: Entities, options?: AttachOptions): Promise<void> {
  for (const seal of [shop.seal, 'schema-only'] as const)
    await (await attach(entities, seal, options)).destroy();
}

/** An entity with what is given on the class and on a property of its own. */
function accountWith({ onClass, onExtra }: Readonly<Extras>): new () => object {
  class Account {
    @PrimaryColumn('int') id!: number;
    @Column('varchar', { nullable: true }) note!: string | null;
    @Encrypted({ purpose: 'card-number', blindIndex: true, nullable: true }) pan!: string | null;
    @Encrypted({ purpose: 'personal-data', nullable: true }) email!: string | null;
    extra?: unknown;
  }
  onExtra?.(Account.prototype, 'extra');
  onClass?.(Account);
  Entity('accounts')(Account);
  return Account;
}

interface Extras {
  readonly onClass?: ClassDecorator;
  readonly onExtra?: PropertyDecorator;
}

const generated = (asExpression: string): PropertyDecorator =>
  Column({ type: 'varchar', generatedType: 'STORED', asExpression, nullable: true });
const virtual = (query: (alias: string) => string): PropertyDecorator =>
  VirtualColumn({ type: 'varchar', query });

/** An index that TypeORM does not make. Its types let only a schema name the columns. */
const unmade = (columns: unknown, more: object = {}): ClassDecorator & PropertyDecorator =>
  (Index as (...args: unknown[]) => ClassDecorator & PropertyDecorator)('by_hand', columns, {
    synchronize: false,
    ...more,
  });

describe('is refused and named:', () => {
  it.each<[string, Extras, RegExp]>([
    [
      'a check on the class',
      { onClass: Check('pan > 5') },
      /^Account: expected a check "CHK_\w+" that .*Account\.pan.*no order and no equality.*IS NOT NULL.*in the application/u,
    ],
    ['a check with a name', { onClass: Check('is_long', 'length(email) > 5') }, /"is_long".*Account\.email/u],
    ['a check on a property', { onExtra: Check("lower(note) <> pan OR note = 'pan'") }, /Account\.pan/u],
    ['a check with the name of the table', { onClass: Check('accounts.pan <> note') }, /Account\.pan/u],
    ['a check of the size of a cell', { onClass: Check('octet_length(pan) < 8192') }, /checkRawWhere/u],
    [
      'the condition of an index on the class',
      { onClass: Index('some_notes', ['note'], { where: 'pan = note' }) },
      /^Account: expected an index "some_notes" with a condition .*Account\.pan.*plain columns/u,
    ],
    [
      'the condition of an index on a property',
      {
        onExtra: (target, property) => {
          Column('int')(target, property);
          Index('of_extra', { where: "email LIKE '%@example.com'" })(target, property);
        },
      },
      /"of_extra".*Account\.email/u,
    ],
    [
      'the condition of an index that TypeORM does not make',
      { onClass: unmade(['note'], { where: 'pan > note' }) },
      /"by_hand".*Account\.pan/u,
    ],
    [
      'a generated column',
      { onExtra: generated('lower(pan)') },
      /^Account\.extra: expected a generated column .*Account\.pan.*mask/u,
    ],
    ['a generated column that copies a cell', { onExtra: generated('pan') }, /^Account\.extra: /u],
    [
      'a virtual column that computes',
      { onExtra: virtual((a) => `SELECT upper(${a}.pan)`) },
      /^Account\.extra: expected a virtual column .*Account\.pan/u,
    ],
    [
      'a virtual column over another table',
      { onExtra: virtual((a) => `SELECT MAX(c.pan) FROM cards c WHERE c.note = ${a}.note`) },
      /^Account\.extra: expected a virtual column .*Card\.pan/u,
    ],
    [
      'a virtual column that is a cell',
      { onExtra: virtual((a) => `SELECT c.pan FROM cards c WHERE c.note = ${a}.note`) },
      /^Account\.extra: expected a virtual column .*Card\.pan/u,
    ],
  ])('%s', async (_, extras, message) => {
    await expectRefused([accountWith(extras), Card, Customer], message);
  });

  it.each([
    ['an exclusion', 'USING gist (pan WITH =)', /^Account: expected an exclusion "no_two" .*unique: true/u],
    ['a later element of an exclusion', 'USING gist (note WITH =, pan WITH <>)', /Account\.pan/u],
    ['an expression in an exclusion', 'USING gist (lower(email) WITH =)', /Account\.email/u],
    ['the condition of an exclusion', "USING gist (note WITH =) WHERE (pan <> '')", /Account\.pan/u],
  ])('%s', async (_, expression, message) => {
    const entities = [accountWith({ onClass: Exclusion('no_two', expression) })];
    // TypeORM leaves exclusions out of the metadata of every other database.
    await (databaseName === 'postgres' ? expectRefused(entities, message) : expectTaken(entities));
  });

  it('a default that names a field, where the database allows one', async () => {
    const onExtra = Column('varchar', { default: () => '(lower(pan))' });
    const entities = [accountWith({ onExtra })];
    await (databaseName === 'mariadb'
      ? expectRefused(entities, /^Account\.extra: expected a default .*Account\.pan/u)
      : expectTaken(entities));
  });

  it('a check of an entity that is attached when it is initialized already', async (context) => {
    if (databaseName !== 'postgres') return context.skip('others are attached before');
    const dataSource = await dataSourceOf(shop.database.url, [
      accountWith({ onClass: Check('pan > 5') }),
    ]).initialize();
    try {
      expect(() => attachFieldSeal(dataSource, shop.seal)).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_FIELD' }),
      );
    } finally {
      await dataSource.destroy();
    }
  });

  it('a check of an embedded field, by the entity or by another one of its table', async () => {
    class Holder {
      @Encrypted({ purpose: 'personal-data' }) name!: string;
    }
    const heldWith = (check: string): new () => object => {
      @Entity('held')
      @Check(check)
      class Held {
        @PrimaryColumn('int') id!: number;
        @Column(() => Holder) holder!: Holder;
      }
      return Held;
    };
    @Entity('held')
    @Check('holderName > 5')
    class Other {
      @PrimaryColumn('int') id!: number;
    }
    await expectRefused([heldWith('holderName > 5')], /^Held: .*Held\.holder\.name/u);
    await expectRefused([heldWith('id > 5'), Other], /^Other: .*Held\.holder\.name/u);
    await expectTaken([heldWith('holder > 5 AND name > 5')]);
  });

  it('a check of a parent in one table with its children, and one of a child', async () => {
    const hierarchy = (parentCheck: string, childCheck: string): Entities => {
      @Entity('animals')
      @Check('parent_check', parentCheck)
      @TableInheritance({ column: { type: 'varchar', name: 'kind' } })
      class Animal {
        @PrimaryColumn('int') id!: number;
        @Column('varchar', { nullable: true }) note!: string | null;
        @Encrypted({ purpose: 'personal-data' }) name!: string;
      }
      @ChildEntity()
      @Check('child_check', childCheck)
      class Dog extends Animal {
        @Encrypted({ purpose: 'personal-data', nullable: true }) chip!: string | null;
      }
      return [Animal, Dog];
    };
    await expectRefused(hierarchy('chip > name', 'note = note'), /"parent_check".*\.(?:chip|name)/u);
    await expectRefused(hierarchy('note = note', "chip <> ''"), /"child_check".*Dog\.chip/u);
    await expectTaken(hierarchy('chip IS NULL OR note IS NOT NULL', 'name IS NOT NULL'));
  });

  it('the condition of an index of a materialized view', async () => {
    @ViewEntity({ materialized: true, expression: 'SELECT id, note, pan AS number FROM cards' })
    @Index('of_view', ['id'], { where: "number <> ''" })
    class Numbers {
      @ViewColumn() id!: string;
      @ViewColumn() note!: string;
    }
    await expectRefused([Numbers, Card, Customer], /^Numbers: expected an index "of_view" .*Card\.pan/u);
  });

  it.each<[string, Partial<EntitySchemaOptions<SchemaRow>>, RegExp]>([
    ['checks', { checks: [{ name: 'of_schema', expression: 'pan > note' }] }, /^Schema: .*"of_schema"/u],
    [
      'indices',
      { indices: [{ name: 'of_schema', columns: ['note'], where: 'pan > note' }] },
      /^Schema: .*"of_schema"/u,
    ],
    [
      'columns',
      {
        columns: {
          ...encryptedColumns('pan', { purpose: 'card-number' }),
          id: { type: 'int', primary: true },
          low: { type: 'varchar', generatedType: 'STORED', asExpression: 'lower(pan)' },
        },
      },
      /^Schema\.low: /u,
    ],
  ])('%s of an EntitySchema', async (_, more, message) => {
    await expectRefused([schemaWith(more)], message);
  });

  it('exclusions of an EntitySchema', async () => {
    const entities = [schemaWith({ exclusions: [{ expression: 'USING gist (pan WITH =)' }] })];
    await (databaseName === 'postgres' ? expectRefused(entities, /^Schema: /u) : expectTaken(entities));
  });
});

interface SchemaRow {
  id: number;
  note: string;
  low?: string;
}

function schemaWith(more: Partial<EntitySchemaOptions<SchemaRow>>): EntitySchema {
  const columns: EntitySchemaOptions<SchemaRow>['columns'] = {
    id: { type: 'int', primary: true },
    note: { type: 'varchar' },
    ...encryptedColumns('pan', { purpose: 'card-number' }),
  };
  const options = { name: 'Schema', tableName: 'of_schema', columns, ...more };
  return new EntitySchema(Object.assign(new EntitySchemaOptions<SchemaRow>(), options));
}

describe('an index over a cell is refused:', () => {
  const indexed = /an encrypted field cannot be an? (?:indexed|unique) column .*blindIndex/u;

  it.each<[string, Extras]>([
    ['@Index', { onClass: Index(['pan']) }],
    ['@Index with another column', { onClass: Index(['note', 'pan']) }],
    ['@Index by a function', { onClass: Index((account: { pan: unknown }) => [account.pan]) }],
    ['@Index that TypeORM does not make', { onClass: unmade(['pan']) }],
    [
      '@Index by a function that TypeORM does not make',
      { onClass: unmade((account: { pan: unknown }) => [account.pan]) },
    ],
    ['a unique @Index that TypeORM does not make', { onClass: unmade(['note', 'pan'], { unique: true }) }],
    ['@Unique', { onClass: Unique(['pan']) }],
    ['@Unique with another column', { onClass: Unique('two', ['pan', 'note']) }],
  ])('%s', async (_, extras) => {
    await expectRefused([accountWith(extras)], indexed);
  });

  it('@Index and @Unique on the property', async () => {
    @Entity('on_property')
    class Indexed {
      @PrimaryColumn('int') id!: number;
      @Index('by_hand', { synchronize: false }) @Encrypted({ purpose: 'card-number' }) pan!: string;
    }
    @Entity('on_property')
    class Found {
      @PrimaryColumn('int') id!: number;
      @Index() @Encrypted({ purpose: 'card-number' }) pan!: string;
    }
    @Entity('on_property')
    class Single {
      @PrimaryColumn('int') id!: number;
      @Unique(['pan']) @Encrypted({ purpose: 'card-number' }) pan!: string;
    }
    for (const entity of [Indexed, Found, Single]) await expectRefused([entity], indexed);
  });

  it.each<[string, PropertyDecorator]>([
    ['made', Index()],
    ['not made', Index('by_hand', { synchronize: false })],
  ])('of an embedded class, %s by TypeORM', async (_, index) => {
    class Holder {
      @index @Encrypted({ purpose: 'personal-data' }) name!: string;
    }
    @Entity('holders')
    class Held {
      @PrimaryColumn('int') id!: number;
      @Column(() => Holder) holder!: Holder;
    }
    await expectRefused([Held], indexed);
  });

  it.each<[string, ClassDecorator]>([
    ['made', Index(['name'])],
    ['not made', unmade(['name'])],
  ])('of a parent in one table, %s by TypeORM', async (_, index) => {
    @Entity('animals')
    @index
    @TableInheritance({ column: { type: 'varchar', name: 'kind' } })
    class Animal {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data' }) name!: string;
    }
    @ChildEntity()
    class Dog extends Animal {}
    await expectRefused([Animal, Dog], indexed);
  });

  it.each<[string, Partial<EntitySchemaOptions<SchemaRow>>]>([
    ['indices', { indices: [{ columns: ['pan'] }] }],
    [
      'indices that TypeORM does not make',
      { indices: [{ name: 'x', columns: ['pan'], synchronize: false }] },
    ],
    ['uniques', { uniques: [{ columns: ['note', 'pan'] }] }],
  ])('%s of an EntitySchema', async (_, more) => {
    await expectRefused([schemaWith(more)], indexed);
  });
});

describe('is let through:', () => {
  it.each<[string, Extras]>([
    ['IS NOT NULL', { onClass: Check('pan IS NOT NULL OR email IS NOT NULL') }],
    ['tests for NULL that are compared', { onClass: Check('(pan IS NULL) = (email IS NULL)') }],
    ['siblings', { onClass: Check('(pan_key IS NULL) = (pan_bidx IS NULL) AND pan_bidx <> pan_key') }],
    ['the name of a field in a text', { onClass: Check("note <> 'pan > email'") }],
    ['the name of a field in a comment', { onClass: Check('note IS NOT NULL /* or pan > 5 */') }],
    [
      'an index over rows with a cell',
      { onClass: Index('with_pan', ['note'], { where: 'pan IS NOT NULL' }) },
    ],
    ['an index beside cells', { onClass: unmade(['note']) }],
    ['a generated column beside cells', { onExtra: generated('lower(note)') }],
    ['a generated column of presence', { onExtra: generated('CASE WHEN pan IS NULL THEN 0 ELSE 1 END') }],
    ['a default of the database', { onExtra: Column('varchar', { default: () => "'pan'" }) }],
    [
      'a virtual column that counts',
      { onExtra: virtual((a) => `SELECT COUNT(c.pan) FROM cards c WHERE c.note = ${a}.note`) },
    ],
    ['no SQL', { onClass: Check(') OR ( "') }],
  ])('%s', async (_, extras) => {
    await expectTaken([accountWith(extras), Card, Customer]);
  });

  it.each(['USING gist (note WITH =) WHERE (pan IS NOT NULL)', 'USING gist (pan_bidx WITH =, note WITH <>)'])(
    'an exclusion: %s',
    async (expression) => {
      await expectTaken([accountWith({ onClass: Exclusion('beside', expression) })]);
    },
  );

  it('a virtual column whose SQL cannot be made yet', async () => {
    @Entity('unready')
    class Unready {
      @PrimaryColumn('int') id!: number;
      @VirtualColumn({
        type: 'varchar',
        query: () => {
          throw new Error('not ready');
        },
      })
      later!: string;
    }
    await expectTaken([Unready, accountWith({})]);
  });

  it('a column of the same name in a table without encrypted fields', async () => {
    @Entity('plain_accounts')
    @Check('pan > 5')
    @Index('some', ['pan'], { where: 'pan > 5' })
    class Plain {
      @PrimaryColumn('int') id!: number;
      @Column('int') pan!: number;
    }
    await expectTaken([Plain, accountWith({})]);
  });

  it('whatever there is where no text is read', async () => {
    const computes = { onClass: Check('octet_length(pan) < 8192'), onExtra: generated('lower(pan)') };
    await expectTaken([accountWith(computes)], { checkRawWhere: false });
  });

  it("the constraints of the fields' own option, of a data source that was attached for the schema before", async (context) => {
    if (databaseName !== 'postgres') return context.skip('others are attached before');
    @Entity('checked')
    class Checked {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', check: true }) email!: string;
    }
    const dataSource = await attach([Checked], 'schema-only');
    try {
      attachFieldSeal(dataSource, shop.seal);
    } finally {
      await dataSource.destroy();
    }
  });

  it('what makes a table in which cells are checked for presence', async (context) => {
    if (databaseName !== 'postgres') return context.skip('the functions are of PostgreSQL');
    @Entity('contacts')
    @Check('one_of_two', 'num_nonnulls(phone, "email") = 1 AND num_nulls(phone, email) = 1')
    @Index('with_phone', ['note'], { where: 'phone IS NOT NULL', unique: true })
    class Contact {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { nullable: true }) note!: string | null;
      @Encrypted({ purpose: 'personal-data', nullable: true, check: true }) phone!: string | null;
      @Encrypted({ purpose: 'personal-data', nullable: true }) email!: string | null;
    }
    const dataSource = await attach([Contact]);
    try {
      await dataSource.synchronize();
      // Its own constraints are there when the metadata is built again.
      await dataSource.destroy();
      await dataSource.initialize();
      await dataSource.manager.save(Object.assign(new Contact(), { id: 1, note: 'a', phone: '123' }));
      await expect(dataSource.manager.save(Object.assign(new Contact(), { id: 2 }))).rejects.toThrow(
        /one_of_two/u,
      );
      await expect(
        dataSource.manager.save(Object.assign(new Contact(), { id: 3, note: 'a', phone: '4' })),
      ).rejects.toThrow(/with_phone/u);
    } finally {
      await dataSource.destroy();
    }
  });
});
