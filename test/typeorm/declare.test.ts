/** What `@Encrypted` and `attachFieldSeal` refuse at start, and that nothing works without attach. */
import 'reflect-metadata';
import {
  Column,
  Entity,
  EntitySchema,
  EntitySchemaOptions,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  Unique,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  attachFieldSeal,
  Encrypted,
  encryptedColumns,
  type EncryptedOptions,
} from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { needs } from './limits.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Card, Customer] })));
afterAll(() => shop.close());

function declare(name: string, options: unknown): () => void {
  return () => {
    class Thing {}
    Encrypted(options as EncryptedOptions)(Thing.prototype, name);
  };
}

describe('@Encrypted', () => {
  it.each([
    ...['cvv', 'CVV2', 'cvc', 'cid', 'pin', 'pin_block', 'PinBlock', 'track_1', 'track2'],
    ...['securityCode', 'card_security_code', 'SECURITYCODE', 'cvvCode', 'cardCvv', 'usercvv', 'cvc2Value'],
    ...[
      'cardVerificationValue',
      'card_verification_code',
      'verificationValue',
      'csc',
      'cardCsc',
      'cav2',
      'CAV',
    ],
    ...['pinCode', 'PINBlock', 'cardPin', 'encrypted_pin', 'trackData', 'track2Data', 'emvTrack2Equivalent'],
    ...['magstripe', 'magStripeData', 'magneticStripe', 'fullTrack'],
  ])('refuses to store %s', (name) => {
    const refusal = expect.objectContaining({ code: 'ERR_CONFIG_FORBIDDEN_FIELD' }) as unknown;
    expect(declare(name, { purpose: 'card-number' })).toThrow(refusal);
    expect(() => encryptedColumns(name, { purpose: 'card-number' })).toThrow(refusal);
    expect(declare('code', { purpose: 'card-number', name })).toThrow(refusal);
  });

  it.each([
    ...[
      'spinner',
      'pinterestUrl',
      'shopping',
      'trackingNumber',
      'residence',
      'incident',
      'opinion',
      'pinned',
    ],
    ...[
      'track',
      'trackId',
      'soundtrackData',
      'stripeCustomerId',
      'postcode',
      'verificationCode',
      'acid',
      'cidr',
    ],
    ...['publicId', 'placid', 'pan', 'cardNumber', 'expiry', 'security', 'codes', 'excvator', 'pineapple'],
  ])('stores %s', (name) => {
    expect(declare(name, { purpose: 'card-number' })).not.toThrow();
  });

  it('stores what only looks like it where that is said', () => {
    const said = { purpose: 'personal-data', notAuthenticationData: true };
    expect(declare('pinCode', said)).not.toThrow();
    expect(declare('mapPin', { ...said, name: 'pin' })).not.toThrow();
    expect(declare('pinCode', { purpose: 'personal-data' })).toThrow(
      /'pinCode' is named like.*PCI DSS 3.3.1.*spelling check.*notAuthenticationData: true/u,
    );
  });

  it('refuses a forbidden column behind another property name', () => {
    expect(declare('code', { purpose: 'card-number', name: 'card_cvv' })).toThrow(/PCI DSS 3.3.1/);
    expect(declare('code', { purpose: 'card-number', name: 'c_v_v' })).toThrow(/PCI DSS 3.3.1/);
  });

  it.each([
    [{ purpose: 'card-number', blindindex: true }, /did you mean 'blindIndex'/],
    [{ purpose: 7 }, /purpose: expected the name of a purpose, got 7/],
    [{}, /purpose/],
    [{ purpose: 'p', type: 'text' }, /one of 'string'/],
    [{ purpose: 'p', bind: [] }, /bind/],
    [{ purpose: 'p', bind: ['id', 'id'] }, /each property once/],
    [{ purpose: 'p', pad: 256 }, /pad/],
    [{ purpose: 'p', context: 'nodot' }, /'entity.field'/],
    [{ purpose: 'p', mask: 'first8' }, /one of 'last4', 'first6last4'/],
    [{ purpose: 'p', control: 'none' }, /'keyed-hash'/],
  ])('explains %j', (options, message) => {
    expect(declare('secret', options)).toThrow(message);
    expect(declare('secret', options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_OPTION' }));
  });
});

describe('a mask', () => {
  it('beside a blind index must be declared', () => {
    const both = { purpose: 'card-number', mask: 'last4', blindIndex: true };
    expect(declare('pan', both)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_FIELD' }));
    expect(declare('pan', { ...both, control: 'keyed-hash' })).not.toThrow();
    expect(declare('pan', { ...both, blindIndex: undefined })).not.toThrow();
  });

  it('is for strings only', () => {
    expect(declare('pan', { purpose: 'card-number', mask: 'last4', type: 'number' })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_FIELD' }),
    );
  });
});

describe('without attach', () => {
  it('nothing is written and nothing is read', async (context) => {
    needs(context, 'a DataSource that is not attached');
    const card = await shop.dataSource.manager.save(Object.assign(new Card(), { pan: '4111111111111111' }));
    const plain = await dataSourceOf(shop.database.url, [Card, Customer]).initialize();
    try {
      await expect(
        plain.manager.save(Object.assign(new Card(), { pan: '4000000000000002' })),
      ).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
      await expect(plain.manager.findOneBy(Card, { id: card.id })).rejects.toMatchObject({
        code: 'ERR_OPEN_NOT_ATTACHED',
      });
      await expect(plain.manager.findOneBy(Card, { pan: '4111111111111111' })).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
      expect(await plain.manager.count(Card)).toBe(1);
    } finally {
      await plain.destroy();
    }
  });

  it("'schema-only' refuses data and needs no key", async () => {
    const schemaOnly = await attachFieldSeal(
      dataSourceOf(shop.database.url, [Card, Customer]),
      'schema-only',
    ).initialize();
    try {
      await expect(
        schemaOnly.manager.insert(Card, { id: 'x', pan: '4000000000000002' }),
      ).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
    } finally {
      await schemaOnly.destroy();
    }
  });
});

describe('attachFieldSeal', () => {
  const attach = (entity: (new () => object) | EntitySchema) =>
    attachFieldSeal(dataSourceOf(shop.database.url, [entity, Card, Customer]), shop.seal).initialize();

  it('22 refuses MongoDB, a second attach, and unknown options', () => {
    // TypeORM 0.3 marks each DataSource itself, not their prototype.
    const copy = Object.assign(
      Object.create(Object.getPrototypeOf(shop.dataSource) as object) as object,
      shop.dataSource,
    );
    const mongo = Object.assign(copy, { options: { type: 'mongodb' } });
    expect(() => attachFieldSeal(mongo, shop.seal)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_ORM' }),
    );
    expect(() => attachFieldSeal(shop.dataSource, shop.seal)).toThrow(/attached already/);
    const another = dataSourceOf(shop.database.url, [Card, Customer]);
    expect(() => attachFieldSeal(another, shop.seal, { checkRawWher: true } as never)).toThrow(
      /did you mean 'checkRawWhere'/,
    );
  });

  it('refuses what is no field seal, such as one that nobody awaited', () => {
    for (const seal of [undefined, {}, Promise.resolve(shop.seal), 'schema']) {
      const attached = () =>
        attachFieldSeal(dataSourceOf(shop.database.url, [Card, Customer]), seal as never);
      expect(attached).toThrow(/expected a field seal \(await createFieldSeal/);
    }
  });

  it('refuses a purpose that the field seal does not have', async () => {
    @Entity()
    class WrongPurpose {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-numbr' }) secret!: string;
    }
    await expect(attach(WrongPurpose)).rejects.toMatchObject({ code: 'ERR_CONFIG_PURPOSE_UNKNOWN' });
  });

  it('22 refuses columns that cells cannot be', async () => {
    @Entity()
    class Indexed {
      @PrimaryColumn('int') id!: number;
      @Index() @Encrypted({ purpose: 'personal-data' }) secret!: string;
    }
    @Entity()
    @Unique(['secret'])
    class UniqueCell {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data' }) secret!: string;
    }
    @Entity()
    class OwnSibling {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data' }) pan!: string;
      @Column('text') pan_key!: string;
    }
    @Entity()
    class OwnMask {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', mask: 'last4' }) pan!: string;
      @Column('text') panMask!: string;
    }
    @Entity()
    class Joined {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data' }) owner_id!: string;
      @ManyToOne(() => Card)
      @JoinColumn({ name: 'owner_id' })
      owner!: Card;
    }
    @Entity()
    @TableInheritance({ column: 'kind' })
    class Discriminated {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data' }) kind!: string;
    }
    const { id, ...siblings } = encryptedColumns('id', { purpose: 'personal-data' });
    const columns: EntitySchemaOptions<{ id: string }>['columns'] = {
      // Its type is a getter, which a copy would not have.
      id: Object.assign(id, { primary: true }),
      ...siblings,
    };
    const options = Object.assign(new EntitySchemaOptions<{ id: string }>(), { name: 'Primary', columns });
    const Primary = new EntitySchema<{ id: string }>(options);
    for (const entity of [Indexed, UniqueCell, OwnSibling, OwnMask, Joined, Discriminated, Primary]) {
      await expect(attach(entity)).rejects.toMatchObject({ code: 'ERR_CONFIG_FIELD' });
    }
  });

  it('refuses to bind what is unknown or has no exact form', async () => {
    @Entity()
    class BoundToGenerated {
      @PrimaryGeneratedColumn('uuid') id!: string;
      @Encrypted({ purpose: 'personal-data', bind: ['id'] }) secret!: string;
    }
    @Entity()
    class BoundToDate {
      @PrimaryColumn('int') id!: number;
      @Column() at!: Date;
      @Encrypted({ purpose: 'personal-data', bind: ['at'] }) secret!: string;
    }
    @Entity()
    class BoundToNothing {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', bind: ['tenant'] }) secret!: string;
    }
    for (const entity of [BoundToGenerated, BoundToDate, BoundToNothing]) {
      await expect(attach(entity)).rejects.toMatchObject({ code: 'ERR_CONFIG_FIELD' });
    }
  });

  it('refuses two columns with one context', async () => {
    @Entity()
    class Twice {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'personal-data', context: 'people.secret' }) one!: string;
      @Encrypted({ purpose: 'personal-data', context: 'people.secret' }) two!: string;
    }
    await expect(attach(Twice)).rejects.toMatchObject({ code: 'ERR_CONFIG_DUPLICATE_CONTEXT' });
  });

  it('warns of a card number that is bound to nothing, unless that is said', async () => {
    const warned = () =>
      shop.events.filter((event) => event.type === 'warning' && event.code === 'PAN_NOT_BOUND').length;
    @Entity()
    class Unbound {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number' }) pan!: string;
    }
    @Entity()
    class UnboundOnPurpose {
      @PrimaryColumn('int') id!: number;
      @Encrypted({ purpose: 'card-number', bind: false }) pan!: string;
    }
    await (await attach(UnboundOnPurpose)).destroy();
    expect(warned()).toBe(0);
    await (await attach(Unbound)).destroy();
    expect(warned()).toBe(1);
  });

  it('works on a DataSource that is initialized already', async (context) => {
    needs(context, 'a DataSource that is not attached');
    const late = await dataSourceOf(shop.database.url, [Card, Customer]).initialize();
    attachFieldSeal(late, shop.seal);
    const [card] = await late.manager.find(Card);
    expect(card?.pan).toBe('4111111111111111');
    await late.destroy();
  });
});
