/** Declarations that would start, and fail or find nothing later: all of them are refused when a DataSource is attached. */
import 'reflect-metadata';
import * as typeorm from 'typeorm';
import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  ViewColumn,
  ViewEntity,
  type DataSource,
  type DataSourceOptions,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFieldSeal, kmsSource } from '../../src/index.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { attachFieldSeal, type AttachOptions, Encrypted, openRaw } from '../../src/typeorm/index.js';
import { newMacKey } from '../kms/mac-key.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { dataSourceOf, KEKS, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());

type Entities = readonly (new () => object)[];

const attach = (
  entities: Entities,
  seal: Shop['seal'] | 'schema-only' = shop.seal,
  options?: AttachOptions,
): Promise<DataSource> =>
  attachFieldSeal(dataSourceOf(shop.database.url, [...entities, Card, Customer]), seal, options).initialize();

async function expectRefused(entities: Entities, message: RegExp, options?: AttachOptions): Promise<void> {
  for (const seal of [shop.seal, 'schema-only'] as const)
    await expect(attach(entities, seal, options)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FIELD',
      message: expect.stringMatching(message) as string,
    });
}

describe('an encrypted field in a foreign key', () => {
  @Entity('owners')
  class Owner {
    @PrimaryColumn('int') id!: number;
    @Encrypted({ purpose: 'personal-data', blindIndex: true }) email!: string;
  }

  it('is refused by @ForeignKey, on either side', async (context) => {
    needs(context, '@ForeignKey');
    const { ForeignKey } = typeorm;
    @Entity('things')
    class Thing {
      @PrimaryColumn('int') id!: number;
      @ForeignKey(() => Card) @Encrypted({ purpose: 'personal-data' }) cardId!: string;
    }
    @Entity('referring')
    class Referring {
      @PrimaryColumn('int') id!: number;
      @ForeignKey(() => Owner, 'email') @Column('varchar') ownerEmail!: string;
    }
    await expectRefused([Thing], /^Thing\.cardId: .*foreign key/u);
    await expectRefused([Owner, Referring], /^Owner\.email: .*foreign key/u);
  });

  it('is refused as what a join refers to', async () => {
    @Entity('joining')
    class Joining {
      @PrimaryColumn('int') id!: number;
      @ManyToOne(() => Owner, { createForeignKeyConstraints: false })
      @JoinColumn({ name: 'owner_email', referencedColumnName: 'email' })
      owner!: Owner;
    }
    await expectRefused([Owner, Joining], /^Owner\.email: .*joined by/u);
  });
});

describe('a view', () => {
  it('cannot have an encrypted column', async () => {
    @ViewEntity({ expression: 'SELECT id, pan FROM cards' })
    class Encrypting {
      @ViewColumn() id!: string;
      @Encrypted({ purpose: 'card-number', context: 'cards.pan' }) pan!: string;
    }
    await expectRefused([Encrypting], /^Encrypting\.pan: .*a column of a view.*openRaw\(/u);
  });

  it.each<[string, DataSourceOptions['type'] | ((dataSource: DataSource) => string)]>([
    ['by its name', 'SELECT id, pan FROM cards' as never],
    ['by all columns', 'SELECT c.* FROM cards AS c' as never],
    [
      'of an alias',
      'SELECT c.id, c.pan AS pan FROM cards c JOIN customers o ON o.id = c.customer_id' as never,
    ],
  ])('cannot show a cell %s', async (_, expression) => {
    @ViewEntity({ expression: expression as string })
    class Shows {
      @ViewColumn() id!: string;
      @ViewColumn() pan!: Buffer;
    }
    await expectRefused([Shows], /^Shows\.pan: .*the cell of Card\.pan.*openRaw\(dataSource, Card/u);
  });

  it.each([
    ['of a sub-query', 'SELECT x.id, x.number AS pan FROM (SELECT id, pan AS number FROM cards) x'],
    ['of a common table expression', 'WITH x AS (SELECT * FROM cards) SELECT x.id, x.pan FROM x'],
    ['of another view', 'SELECT v.id, v.number AS pan FROM inner_view v'],
  ])('cannot show a cell %s', async (_, expression) => {
    @ViewEntity({ name: 'inner_view', expression: 'SELECT id, pan AS number FROM cards' })
    class Inner {
      @ViewColumn() id!: string;
    }
    @ViewEntity({ name: 'outer_view', expression })
    class Outer {
      @ViewColumn() id!: string;
      @ViewColumn() pan!: Buffer;
    }
    await expectRefused([Inner, Outer], /^Outer\.pan: .*the cell of Card\.pan.*openRaw\(dataSource, Card/u);
  });

  it('cannot compute with cells, even where SQL written by hand is not read', async () => {
    @ViewEntity({ expression: 'SELECT c.id, MAX(c.pan) AS highest FROM cards c GROUP BY c.id' })
    class Computes {
      @ViewColumn() id!: string;
      @ViewColumn() highest!: string;
    }
    const message = /^Computes: .*computes with those of Card\.pan/u;
    await expectRefused([Computes], message);
    await expectRefused([Computes], message, { checkRawWhere: false });
  });

  it('cannot show a cell under another name, and by a query builder', async () => {
    @ViewEntity({
      expression: (dataSource) => dataSource.createQueryBuilder().select('c.pan', 'number').from(Card, 'c'),
    })
    class Renamed {
      @ViewColumn() number!: Buffer;
    }
    await expectRefused([Renamed], /^Renamed\.number: .*the cell of Card\.pan/u);
  });

  it('may show everything else, and its cells are opened by openRaw', async () => {
    @ViewEntity({
      name: 'plain_view',
      expression: `SELECT c.id, c.note AS pan, o.status AS name, c.pan IS NOT NULL AS "hasPan" FROM cards c
        JOIN customers o ON o.id = c.customer_id`,
    })
    class Plain {
      @ViewColumn() id!: string;
      @ViewColumn() pan!: string;
      @ViewColumn() name!: string;
      @ViewColumn() hasPan!: boolean;
    }
    @ViewEntity({
      name: 'failing_view',
      expression: () => {
        throw new Error('for migrations only');
      },
    })
    class Failing {
      @ViewColumn() pan!: string;
    }
    @ViewEntity({ name: 'other_view', expression: 'SELECT l.pan FROM cards c JOIN labels l ON l.id = c.id' })
    class OfAnother {
      @ViewColumn() pan!: string;
    }
    const dataSource = await attach([Plain, Failing, OfAnother]);
    try {
      const card = await dataSource.manager.save(Object.assign(new Card(), { pan: '4111111111111111' }));
      await shop.database.query('CREATE VIEW card_cells AS SELECT id, pan FROM cards');
      const rows = await dataSource.query<object[]>('SELECT * FROM card_cells');
      expect(await openRaw(dataSource, Card, rows, { id: 'id', pan: 'pan' })).toEqual([
        { id: card.id, pan: '4111111111111111' },
      ]);
    } finally {
      await dataSource.destroy();
    }
  });
});

describe('a blind index', () => {
  it('without index keys is refused, and says which option makes them', async () => {
    const envelopes = await openShop({
      entities: [],
      purposes: { 'card-number': { delivery: 'envelope' }, 'personal-data': { delivery: 'envelope' } },
    });
    try {
      for (const seal of [envelopes.seal, envelopes.seal.readOnly()])
        await expect(attach([], seal)).rejects.toMatchObject({
          code: 'ERR_CONFIG_FIELD',
          message: expect.stringMatching(
            /^customers\.name: .*purposes\.personal-data\.index says/u,
          ) as string,
        });
    } finally {
      await envelopes.close();
    }
  });
});

describe('a blind index that this process has nothing to make it with', () => {
  /** Without a key store. */
  const attachTo = async (index: 'local' | 'later' | 'kms', options: Partial<AwsKmsOptions> = {}) => {
    const { region, endpoint } = shop.kms;
    const seal = await createFieldSeal({
      application: 'shop',
      environment: 'test',
      purposes: { 'personal-data': { delivery: 'envelope', index } },
      keys: kmsSource({
        kms: awsKms({
          region,
          endpoint,
          credentials: shop.kms.credentials(),
          keks: { 'personal-data': KEKS['personal-data'] },
          ...options,
        }),
      }),
    });
    @Entity('people')
    class Person {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', nullable: true, blindIndex: { later: index === 'later' } })
      email!: string | null;
    }
    try {
      // Who only reads may never search.
      for (const view of [seal.readOnly(), seal]) {
        const dataSource = attachFieldSeal(dataSourceOf(shop.database.url, [Person]), view);
        await dataSource.initialize();
        await dataSource.destroy();
      }
    } finally {
      await seal.close();
    }
  };

  it.each(['local', 'later'] as const)('is refused without a key store (%s)', async (index) => {
    await expect(attachTo(index)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FIELD',
      message: expect.stringMatching(/^people\.email: .*without a key store.*keyStoreSource/u) as string,
    });
  });

  it('is refused where the KMS makes it and has no key for it', async () => {
    const macKey = await newMacKey(shop.kms);
    const refused = {
      code: 'ERR_CONFIG_FIELD',
      message: expect.stringMatching(/^people\.email: .*version 1 .*macKeys\.personal-data/u) as string,
    };
    await expect(attachTo('kms')).rejects.toMatchObject(refused);
    await expect(attachTo('kms', { macKeys: { 'personal-data': { 2: macKey } } })).rejects.toMatchObject(
      refused,
    );
    await attachTo('kms', { macKeys: { 'personal-data': macKey } });
  });
});

describe('an entity that was loaded again', () => {
  const loadAgain = (): new () => object => {
    @Entity('reloaded')
    class Reloaded {
      @PrimaryColumn('int') id!: number;
      @Encrypted({
        purpose: 'personal-data',
        blindIndex: { normalize: (value: string) => value.trim() },
      })
      email!: string;
    }
    return Reloaded;
  };

  it('with a function of its own is refused over one field seal, and told what to do', async () => {
    const first = await attach([loadAgain()]);
    await first.destroy();
    await expect(attach([loadAgain()])).rejects.toMatchObject({
      code: 'ERR_CONFIG_DUPLICATE_CONTEXT',
      message: expect.stringMatching(
        /^reloaded\.email .*another blindIndex\.normalize.*hot reload.*stays loaded.*createFieldSeal\(\)/u,
      ) as string,
    });
  });
});
