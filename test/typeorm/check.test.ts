/** The option `check`: the database refuses what fieldseal did not write. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import {
  ChildEntity,
  Column,
  DefaultNamingStrategy,
  Entity,
  PrimaryColumn,
  TableInheritance,
  type DataSource,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';
import { isAbleTo } from './limits.js';
import { dataSourceOf, openShop, Recorder, reload, type Shop } from './shop.js';

const HAS_CHECKS = isAbleTo('a CHECK constraint on cells');

class Contact {
  @Encrypted({ purpose: 'personal-data', check: true, nullable: true }) phone!: string | null;
}

@Entity('checked_people')
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Person {
  @PrimaryColumn('uuid') id: string = randomUUID();
  @Encrypted({ purpose: 'personal-data', check: true, nullable: true, name: 'Full Name' })
  name!: string | null;
  @Encrypted({ purpose: 'personal-data', nullable: true }) unchecked!: string | null;
  @Column(() => Contact) contact!: Contact;
}
@ChildEntity('employee')
class Employee extends Person {
  @Encrypted({ purpose: 'personal-data', check: true }) salary!: string;
}

class UpperCase extends DefaultNamingStrategy {
  override columnName(property: string, custom: string, prefixes: string[]): string {
    return super.columnName(property, custom, prefixes).toUpperCase();
  }
}

const ENTITIES = [Person, Employee];
const options = { namingStrategy: new UpperCase() };
let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: ENTITIES, options })));
afterAll(() => shop.close());

const changes = async (dataSource: DataSource): Promise<string[]> =>
  (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);

describe.runIf(HAS_CHECKS)('the schema', () => {
  it('has one constraint per checked field, and a second synchronization finds no change', async () => {
    const checks = await shop.database.query(
      "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'c' AND conrelid = 'checked_people'::regclass",
    );
    expect(checks).toHaveLength(3);
    expect(JSON.stringify(checks)).toMatch(/FULL NAME_KEY.*CONTACTPHONE_KEY/s);
    expect(await changes(shop.dataSource)).toEqual([]);
    await shop.dataSource.synchronize();
    expect(await changes(shop.dataSource)).toEqual([]);
  });

  it("is the same for 'schema-only', also after it was initialized again", async () => {
    const schemaOnly = attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES, options), 'schema-only');
    for (let twice = 0; twice < 2; twice++) {
      await schemaOnly.initialize();
      expect(await changes(schemaOnly)).toEqual([]);
      await schemaOnly.destroy();
    }
  });
});

describe.runIf(HAS_CHECKS)('fieldseal writes', () => {
  it('saves, changes, clears and updates values', async () => {
    const { manager } = shop.dataSource;
    const employee = manager.create(Employee, { name: 'Ada', salary: '100', contact: { phone: '+44' } });
    await manager.save(employee);
    employee.name = 'Augusta';
    employee.contact.phone = null;
    await manager.save(employee);
    await manager.update(Employee, { id: employee.id }, { salary: '200' });
    await manager.upsert(Person, { id: employee.id, name: 'Countess' }, ['id']);
    expect(await reload(shop, Employee, employee.id)).toMatchObject({
      name: 'Countess',
      salary: '200',
      contact: { phone: null },
    });
  });
});

describe.runIf(HAS_CHECKS)('whoever writes without fieldseal', () => {
  const [one, two] = [randomUUID(), randomUUID()];
  beforeAll(async () => {
    const { manager } = shop.dataSource;
    await manager.save([one, two].map((id) => manager.create(Person, { id, name: `name of ${id}` })));
  });

  const set = (assignments: string) =>
    shop.database.query(`UPDATE checked_people SET ${assignments} WHERE "ID" = '${one}'`);
  const otherName = (column: string) => `(SELECT "${column}" FROM checked_people WHERE "ID" = '${two}')`;
  const FINGERPRINT = '"FULL NAME_KEY"';

  it.each([
    ['plaintext', `"FULL NAME" = 'Ada Lovelace'`],
    ['an empty value', `"FULL NAME" = ''`],
    ['one byte', `"FULL NAME" = '\\xf5'`],
    ['17 bytes', `"FULL NAME" = substring("FULL NAME" FROM 1 FOR 17)`],
    ['another marker', `"FULL NAME" = set_byte("FULL NAME", 0, 244)`],
    [
      'another fingerprint in the cell',
      `"FULL NAME" = set_byte("FULL NAME", 2, 255 - get_byte("FULL NAME", 2))`,
    ],
    ['a cell without fingerprint', `${FINGERPRINT} = NULL`],
    ['a fingerprint without cell', `"FULL NAME" = NULL`],
    ['another fingerprint', `${FINGERPRINT} = gen_random_uuid()`],
  ])('is refused by the constraint: %s', async (_, assignments) => {
    await expect(set(assignments)).rejects.toThrow(/violates check constraint "CHK_/);
  });

  it('is refused an INSERT of plaintext, and takes a whole cell away or over with its fingerprint', async () => {
    await expect(
      shop.database.query(
        `INSERT INTO checked_people ("ID", "KIND", "FULL NAME", ${FINGERPRINT}) VALUES (gen_random_uuid(), 'Person', 'Ada', gen_random_uuid())`,
      ),
    ).rejects.toThrow(/violates check constraint "CHK_/);
    await set(`"FULL NAME" = ${otherName('FULL NAME')}, ${FINGERPRINT} = ${otherName('FULL NAME_KEY')}`);
    await set(`"FULL NAME" = NULL, ${FINGERPRINT} = NULL`);
  });

  it('is not refused where no check was asked for', async () => {
    await set(`"UNCHECKED" = 'plain'`);
  });
});

describe.runIf(HAS_CHECKS)('other databases', () => {
  it('get no constraint and one warning that lists the fields', async () => {
    const recorder = new Recorder();
    const dataSource = dataSourceOf(shop.database.url, ENTITIES, { logger: recorder });
    Object.assign(dataSource, { options: { ...dataSource.options, type: 'cockroachdb' } });
    attachFieldSeal(dataSource, 'schema-only');
    await (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
    expect(dataSource.entityMetadatas.flatMap(({ checks }) => checks)).toEqual([]);
    expect(recorder.lines).toEqual([
      expect.stringMatching(
        /check is for PostgreSQL only.*of Person\.name, Person\.salary, Person\.contact\.phone\.$/,
      ),
    ]);
  });
});
