/** Encrypted fields of entity schemas: the same behaviour and the same tables as with the decorator. */
/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- TypeORM takes literals where its types name classes. */
import 'reflect-metadata';
import { Entity, EntitySchema, PrimaryColumn, type DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  attachFieldSeal,
  Encrypted,
  encryptedColumns,
  type EncryptedOptions,
} from '../../src/typeorm/index.js';
import { dialect } from './databases.js';
import { needs } from './limits.js';
import { dataSourceOf, isCellHiding, openShop, type Shop } from './shop.js';

const PHONE = '+44 20 7946 0000';
const PAN = '4111111111111111';
const phoneOptions: EncryptedOptions = { purpose: 'personal-data', blindIndex: { unique: true } };
const panOptions: EncryptedOptions = {
  purpose: 'card-number',
  mask: 'last4',
  bind: ['id'],
  nullable: true,
  check: true,
};

interface Address {
  street: string;
  city: string | null;
}
interface Person {
  id: number;
  phone: string;
  pan: string | null;
  panMask?: string | null;
  address: Address;
}

const AddressSchema = new EntitySchema<Address>({
  name: 'address',
  columns: {
    ...encryptedColumns('street', { purpose: 'personal-data', blindIndex: true }),
    city: { type: 'text', nullable: true },
  },
});
const fields = {
  id: { type: 'int', primary: true },
  ...encryptedColumns('phone', phoneOptions),
  ...encryptedColumns('pan', panOptions),
} as const;
const PersonSchema = new EntitySchema<Person>({
  name: 'person',
  tableName: 'schema_people',
  columns: fields,
  embeddeds: { address: { schema: AddressSchema, prefix: 'home' } },
});
/** Columns shared with another table, which is how schemas inherit. */
const AgentSchema = new EntitySchema<Omit<Person, 'address'> & { code: string }>({
  name: 'agent',
  tableName: 'schema_agents',
  columns: { ...fields, code: { type: 'text' } },
});

const SCHEMAS = [PersonSchema, AgentSchema];
let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: SCHEMAS })));
afterAll(() => shop.close());

const people = () => shop.dataSource.getRepository(PersonSchema);
const changes = async (dataSource: DataSource): Promise<string[]> =>
  (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);

const newPerson = (id: number, phone = `${PHONE} ${id}`): Person =>
  people().create({ id, phone, pan: PAN, address: { street: `street ${id}`, city: 'Kyiv' } });

describe('an EntitySchema', () => {
  beforeEach(async () => {
    await people().clear();
    shop.recorder.clear();
  });

  it('stores cells, fingerprints, indexes and masks, and reads values', async () => {
    const person = await people().save(newPerson(1));
    expect(person).toEqual({ ...newPerson(1), panMask: '1111' });
    const row = await shop.raw('schema_people', 1);
    expect(isCellHiding(row.phone, PHONE)).toBe(true);
    expect(row).toMatchObject({ pan_mask: '1111', phone_key: expect.any(String) as string });
    expect(row.phone_bidx).toHaveLength(16);
    expect(await people().findOneByOrFail({ id: 1 })).toEqual(person);
  });

  it('issues no UPDATE for an unchanged entity, and keeps siblings when something else is saved', async () => {
    const person = await people().save(newPerson(1));
    const before = await shop.raw('schema_people', 1);
    shop.recorder.clear();
    await people().save(person);
    await people().save(await people().findOneByOrFail({ id: 1 }));
    expect(shop.recorder.of('UPDATE')).toEqual([]);
    person.address.city = 'Lviv';
    await people().save(person);
    expect(await shop.raw('schema_people', 1)).toEqual({ ...before, homeCity: 'Lviv' });
  });

  it('is searched, updated and upserted by its encrypted fields', async () => {
    await people().save([newPerson(1), newPerson(2)]);
    expect((await people().findOneByOrFail({ phone: `${PHONE} 2` })).id).toBe(2);
    expect((await people().findOneByOrFail({ address: { street: 'street 1' } })).id).toBe(1);
    await people().update({ phone: `${PHONE} 2` }, { phone: 'changed' });
    expect((await people().findOneByOrFail({ id: 2 })).phone).toBe('changed');
    await people().upsert({ ...newPerson(2, 'changed'), pan: null }, ['phone']);
    expect(await people().findOneByOrFail({ id: 2 })).toMatchObject({ pan: null, panMask: null });
    await expect(people().save(newPerson(3, 'changed'))).rejects.toThrow(dialect.unique);
  });

  it('clears the siblings with the value', async () => {
    const person = await people().save(newPerson(1));
    person.pan = null;
    await people().save(person);
    expect(await shop.raw('schema_people', 1)).toMatchObject({ pan: null, pan_key: null, pan_mask: null });
  });

  it('shares columns with another schema, each table under its own context', async () => {
    const agents = shop.dataSource.getRepository(AgentSchema);
    await agents.save({ id: 1, phone: PHONE, pan: PAN, code: '007' });
    await people().save(newPerson(1, PHONE));
    const { phone, phone_key } = await shop.raw('schema_people', 1);
    await shop.tamper('schema_agents', 1, { phone, phone_key });
    await expect(agents.findOneBy({ id: 1 })).rejects.toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });
});

describe('its schema', () => {
  it("is synchronized once, attached and 'schema-only', also after another initialize()", async () => {
    expect(await changes(shop.dataSource)).toEqual([]);
    const schemaOnly = attachFieldSeal(dataSourceOf(shop.database.url, SCHEMAS), 'schema-only');
    for (let twice = 0; twice < 2; twice++) {
      await schemaOnly.initialize();
      expect(await changes(schemaOnly)).toEqual([]);
      await schemaOnly.destroy();
    }
  });

  it('is the one that the decorator makes', async (context) => {
    needs(context, 'one statement for another primary key');
    @Entity('schema_agents')
    class Agent {
      @PrimaryColumn('int') id!: number;
      @Encrypted(phoneOptions) phone!: string;
      @Encrypted({ ...panOptions, type: 'string' }) pan!: string | null;
      @PrimaryColumn('text') code!: string;
    }
    const decorated = attachFieldSeal(dataSourceOf(shop.database.url, [Agent]), 'schema-only');
    await decorated.initialize();
    try {
      // The test has its own difference, the primary key, so that it would see one.
      expect((await changes(decorated)).filter((sql) => !sql.includes('PK_'))).toEqual([]);
      expect(await changes(decorated)).not.toEqual([]);
    } finally {
      await decorated.destroy();
    }
  });

  it('is the same without attach where the schema lists the indexes itself', async (context) => {
    needs(context, 'a DataSource that is not attached');
    const listing = new EntitySchema<Omit<Person, 'address'> & { code: string }>({
      name: 'listing',
      tableName: 'schema_agents',
      columns: { ...fields, code: { type: 'text' } },
      indices: [
        { columns: ['phone_key'] },
        { columns: ['phone_bidx'], unique: true },
        { columns: ['pan_key'] },
      ],
    });
    const plain = dataSourceOf(shop.database.url, [listing]);
    const schemaOnly = attachFieldSeal(dataSourceOf(shop.database.url, [listing]), 'schema-only');
    await Promise.all([plain.initialize(), schemaOnly.initialize()]);
    try {
      expect(await changes(schemaOnly)).toEqual([]);
      // Constraints of the option check are known to attached ones only.
      expect((await changes(plain)).filter((sql) => !sql.includes('CHK_'))).toEqual([]);
    } finally {
      await Promise.all([plain.destroy(), schemaOnly.destroy()]);
    }
  });

  it('refuses everything where the DataSource is not attached', async (context) => {
    needs(context, 'a DataSource that is not attached');
    const plain = await dataSourceOf(shop.database.url, SCHEMAS).initialize();
    try {
      await expect(plain.getRepository(PersonSchema).insert(newPerson(9))).rejects.toMatchObject({
        code: 'ERR_SEAL_NOT_ATTACHED',
      });
    } finally {
      await plain.destroy();
    }
  });

  it('refuses an own column in the place of a sibling', async () => {
    const own = new EntitySchema({
      name: 'own',
      columns: { ...fields, phone_key: { type: 'text' } },
    });
    await expect(
      attachFieldSeal(dataSourceOf(shop.database.url, [own]), 'schema-only').initialize(),
    ).rejects.toMatchObject({ code: 'ERR_CONFIG_FIELD' });
  });
});
