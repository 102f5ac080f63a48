/** An `@Encrypted` that TypeORM would put aside for another declaration of its property is refused, never ignored. */
/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- TypeORM takes literals where its types name classes. */
import 'reflect-metadata';
import {
  ChildEntity,
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  EntitySchema,
  ManyToOne,
  PrimaryColumn,
  RelationId,
  TableInheritance,
  UpdateDateColumn,
  VersionColumn,
  VirtualColumn,
  type DataSourceOptions,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted, encryptedColumns } from '../../src/typeorm/index.js';
import { databaseName } from './databases.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());

type Entities = NonNullable<DataSourceOptions['entities']>;
type Class = new () => object;

const attach = (entities: Entities, seal: Shop['seal'] | 'schema-only' = shop.seal) =>
  attachFieldSeal(dataSourceOf(shop.database.url, entities), seal).initialize();

/** Attached as every process does it, and as the migration CLI does. */
async function expectRefused(entities: Entities, message: RegExp): Promise<void> {
  for (const seal of [shop.seal, 'schema-only'] as const) {
    await expect(attach(entities, seal)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FIELD',
      message: expect.stringMatching(message) as string,
    });
  }
}

async function expectAccepted(entities: Entities): Promise<void> {
  const dataSource = await attach(entities);
  await dataSource.destroy();
}

/** Its table is made, with each index once, and a second look finds nothing to change. */
async function expectTable(entities: Entities): Promise<void> {
  const dataSource = await attach(entities);
  try {
    await dataSource.synchronize();
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
  } finally {
    await dataSource.destroy();
  }
}

const secret = { purpose: 'personal-data', nullable: true, blindIndex: true } as const;

/** A class of its own for each decorator that stands beside `@Encrypted`, below it or above. */
function withBoth(decorator: PropertyDecorator, order: 'below' | 'above'): Class {
  @Entity('shadowed')
  class Shadowed {
    @PrimaryColumn('int') id!: number;
    @ManyToOne(() => Card) card!: Card;
    s!: string | null;
  }
  const decorators = [decorator, Encrypted(secret)];
  for (const decorate of order === 'below' ? decorators : decorators.reverse())
    decorate(Shadowed.prototype, 's');
  return Shadowed;
}

describe('on one property', () => {
  it.each<[string, PropertyDecorator]>([
    ['@Column', Column({ type: 'varchar', length: 40, nullable: true })],
    ['@PrimaryColumn', PrimaryColumn({ type: 'varchar', length: 40 })],
    ['@CreateDateColumn', CreateDateColumn()],
    ['@UpdateDateColumn', UpdateDateColumn()],
    ['@DeleteDateColumn', DeleteDateColumn()],
    ['@VersionColumn', VersionColumn()],
    ['@VirtualColumn', VirtualColumn('varchar', { query: () => 'SELECT 1' })],
    ['@ManyToOne', ManyToOne(() => Card)],
    ['@RelationId', RelationId('card')],
  ])('%s is refused beside it, below and above', async (name, decorator) => {
    for (const order of ['below', 'above'] as const)
      await expectRefused(
        [withBoth(decorator, order), Card, Customer],
        new RegExp(`^Shadowed\\.s: .*@Encrypted of Shadowed.* and ${name} of Shadowed`, 'u'),
      );
  });

  it('an embedded class is refused beside it', async () => {
    class Part {
      @Column('text') text!: string;
    }
    await expectRefused(
      [
        withBoth(
          Column(() => Part),
          'below',
        ),
        Card,
        Customer,
      ],
      /@Encrypted of Shadowed and @Column/u,
    );
  });

  it('another @Encrypted that says something else is refused', async () => {
    await expectRefused(
      [withBoth(Encrypted({ purpose: 'card-number' }), 'below'), Card, Customer],
      /^Shadowed\.s: .*two @Encrypted, of Shadowed and of Shadowed, that differ in purpose, nullable, blindIndex/u,
    );
  });

  it('the same @Encrypted twice is one', () =>
    expectTable([withBoth(Encrypted(secret), 'below'), Card, Customer]));
});

describe('in a hierarchy of classes', () => {
  abstract class Plain {
    @PrimaryColumn('int') id!: number;
    @Column('varchar', { nullable: true }) s!: string | null;
  }
  abstract class Sealing {
    @PrimaryColumn('int') id!: number;
    @Encrypted(secret) s!: string | null;
  }

  it('a child cannot encrypt what its parent has plain', async () => {
    @Entity()
    class EncryptedChild extends Plain {
      @Encrypted(secret) declare s: string | null;
    }
    await expectRefused([EncryptedChild], /^EncryptedChild\.s: .*of EncryptedChild and @Column of Plain/u);
  });

  it('a child cannot have plain what its parent encrypts', async () => {
    @Entity()
    class PlainChild extends Sealing {
      @Column('varchar') declare s: string | null;
    }
    await expectRefused([PlainChild], /^PlainChild\.s: .*of Sealing and @Column of PlainChild/u);
  });

  it('a child may repeat what its parent says, and inherit it', async () => {
    @Entity()
    class Repeating extends Sealing {
      @Encrypted(secret) declare s: string | null;
    }
    @Entity()
    class Inheriting extends Sealing {}
    await expectTable([Repeating, Inheriting]);
  });
});

describe('in one table of several classes', () => {
  /** A parent of its own each time: its table has the columns of every child that was ever declared. */
  function newKind(): Class {
    @Entity('kinds')
    @TableInheritance({ column: { type: 'varchar', name: 'kind' } })
    class Kind {
      @PrimaryColumn('int') id!: number;
    }
    return Kind;
  }
  function childOf(Parent: Class, name: string, property: string, decorator: PropertyDecorator): Class {
    const Child = { [name]: class extends Parent {} }[name]!;
    decorator(Child.prototype, property);
    ChildEntity()(Child);
    return Child;
  }
  const plain = Column('varchar', { nullable: true });

  it('a child cannot encrypt what another has plain', async () => {
    const Kind = newKind();
    const children = [
      childOf(Kind, 'WithPlain', 's', plain),
      childOf(Kind, 'Sealing', 's', Encrypted(secret)),
    ];
    await expectRefused([Kind, ...children], /@Encrypted of Sealing and @Column of WithPlain/u);
  });

  it('nor can it encrypt what its parent has plain', async () => {
    const Kind = newKind();
    const WithPlain = childOf(Kind, 'WithPlain', 's', plain);
    const Deeper = childOf(WithPlain, 'Deeper', 's', Encrypted(secret));
    await expectRefused([Kind, WithPlain, Deeper], /@Encrypted of Deeper and @Column of WithPlain/u);
  });

  it('children may share an encrypted property', async () => {
    const Kind = newKind();
    const names = ['One', 'Another'];
    await expectTable([Kind, ...names.map((name) => childOf(Kind, name, 's', Encrypted(secret)))]);
  });

  it('a child cannot put a property of its own over the cell of another', async () => {
    const Kind = newKind();
    const Sealing = childOf(Kind, 'Sealing', 's', Encrypted(secret));
    const Over = childOf(Kind, 'Over', 'other', Column('varchar', { nullable: true, name: 's' }));
    await expectRefused([Kind, Sealing, Over], /\.s: .*column s of kinds.* also in \w+\.other/u);
  });
});

describe('in an embedded class', () => {
  class PlainPart {
    @Column('varchar', { nullable: true }) s!: string | null;
  }
  class SecretPart {
    @Encrypted(secret) s!: string | null;
  }
  class OverridingPart extends PlainPart {
    @Encrypted(secret) declare s: string | null;
  }

  it('a part may repeat what its parent says', async () => {
    class RepeatingPart extends SecretPart {
      @Encrypted(secret) declare s: string | null;
    }
    @Entity()
    class OfRepeatingPart {
      @PrimaryColumn('int') id!: number;
      @Column(() => RepeatingPart) part!: RepeatingPart;
      @Column(() => RepeatingPart) other!: RepeatingPart;
    }
    await expectTable([OfRepeatingPart]);
  });

  it('a plain property of a parent is not hidden', async () => {
    @Entity()
    class Whole {
      @PrimaryColumn('int') id!: number;
      @Column(() => OverridingPart) part!: OverridingPart;
    }
    await expectRefused([Whole], /^Whole\.part\.s: .*of OverridingPart and @Column of PlainPart/u);
  });

  it('nor is a plain embedded class of a parent', async () => {
    abstract class WithPlainPart {
      @PrimaryColumn('int') id!: number;
      @Column(() => PlainPart) part!: PlainPart;
    }
    @Entity()
    class WithSecretPart extends WithPlainPart {
      @Column(() => SecretPart) declare part: SecretPart;
    }
    await expectRefused(
      [WithSecretPart],
      /^WithSecretPart\.part\.s: .*of SecretPart and @Column of PlainPart/u,
    );
  });
});

describe('over one column of a table', () => {
  @Entity('one_table')
  class Owner {
    @PrimaryColumn('int') id!: number;
    @Encrypted(secret) s!: string | null;
  }

  it('no second property of the entity may lie, over a sibling neither', async () => {
    for (const name of ['s', 's_key', 's_bidx']) {
      @Entity('two_properties')
      class TwoProperties {
        @PrimaryColumn('int') id!: number;
        @Encrypted(secret) s!: string | null;
        @Column('varchar', { name, nullable: true }) plain!: string | null;
      }
      await expectRefused([TwoProperties], new RegExp(`^TwoProperties\\.s: .*column ${name}\\b.*plain`, 'u'));
    }
  });

  it('another entity must not write', async () => {
    @Entity('one_table')
    class Writer {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { nullable: true }) s!: string | null;
    }
    await expectRefused([Owner, Writer], /^Owner\.s: .*column s of one_table.* Writer\.s/u);
  });

  it('another entity must not write under names that differ in case alone, where the database takes them for one', async (context) => {
    if (databaseName === 'postgres') return context.skip('PostgreSQL tells such names apart');
    @Entity('one_table')
    class OtherCase {
      @PrimaryColumn('int') id!: number;
      @Column('varchar', { name: 'S', nullable: true }) s!: string | null;
    }
    await expectRefused([Owner, OtherCase], /^Owner\.s: .*column s of one_table.* OtherCase\.s/u);
  });

  it('another entity may encrypt the same, read it, or leave it out', async () => {
    @Entity('one_table')
    class Reader {
      @PrimaryColumn('int') id!: number;
      @Column({ type: 'varchar', insert: false, update: false, nullable: true }) s!: unknown;
    }
    @Entity('one_table')
    class Same {
      @PrimaryColumn('int') id!: number;
      @Encrypted(secret) s!: string | null;
    }
    @Entity('one_table')
    class Other {
      @PrimaryColumn('int') id!: number;
    }
    await expectAccepted([Owner, Reader, Same, Other]);
  });
});

describe('in an EntitySchema', () => {
  const id = { type: 'int', primary: true } as const;

  it('a column that overrides the encrypted one is refused', async () => {
    const Overridden = new EntitySchema<{ id: number; s: string | null }>({
      name: 'Overridden',
      columns: { id, ...encryptedColumns('s', secret), s: { type: 'varchar', nullable: true } },
    });
    await expectRefused([Overridden], /^Overridden\.s: /u);
  });

  it('a class that it maps keeps what its decorators encrypt', async () => {
    @Entity('mapped')
    class Mapped {
      @PrimaryColumn('int') id!: number;
      @Encrypted(secret) s!: string | null;
    }
    const schemaOf = (columns: object) =>
      new EntitySchema<Mapped>({
        name: 'Mapped',
        tableName: 'mapped',
        target: Mapped,
        columns: { id, ...columns },
      });
    await expectRefused([schemaOf({ s: { type: 'varchar', nullable: true } })], /^Mapped\.s: /u);
    await expectRefused([schemaOf({})], /^Mapped\.s: /u);
    await expectAccepted([schemaOf(encryptedColumns('s', { ...secret, type: 'string' }))]);
  });
});
