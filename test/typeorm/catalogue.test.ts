/** The list of encrypted columns, from DataSources in every state. */
import {
  ChildEntity,
  Column,
  type DataSource,
  Entity,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encryptedTables } from '../../src/typeorm/catalogue.js';
import { attachFieldSeal, Encrypted } from '../../src/typeorm/index.js';
import { Card, Customer } from './entities.js';
import { dataSourceOf, openShop, type Shop } from './shop.js';

@Entity('payers')
@TableInheritance({ column: { type: 'varchar', length: 20, name: 'kind' } })
class Payer {
  @PrimaryGeneratedColumn() id!: number;
  @Encrypted({ purpose: 'personal-data', name: 'full_name' }) name!: string;
}

@ChildEntity()
class Company extends Payer {
  @Encrypted({ purpose: 'card-number', mask: 'last4', nullable: true }) card!: string | null;
  @Column('int', { nullable: true }) staff!: number | null;
}

@Entity('plain_rows')
class PlainRow {
  @PrimaryColumn('int') id!: number;
}

const ENTITIES = [PlainRow, Company, Payer, Card, Customer];

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: ENTITIES })));
afterAll(() => shop.close());

const states: readonly (readonly [string, () => Promise<DataSource> | DataSource])[] = [
  ['that is not attached', () => dataSourceOf(shop.database.url, ENTITIES)],
  [
    'attached for the schema alone',
    () => attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), 'schema-only'),
  ],
  ['attached to a field seal', () => attachFieldSeal(dataSourceOf(shop.database.url, ENTITIES), shop.seal)],
  ['initialized', () => shop.dataSource],
];

describe('the encrypted tables of a DataSource', () => {
  it.each(states)('%s are listed by name, with what belongs to each field', async (_state, make) => {
    const tables = await encryptedTables(await make());
    expect(tables.map(({ name }) => name)).toEqual(['cards', 'customers', 'payers']);
    const [cards, customers, payers] = tables;
    expect(cards).toMatchObject({
      fields: [
        {
          label: 'Card.pan',
          purpose: 'card-number',
          cell: 'pan',
          key: 'pan_key',
          index: 'pan_bidx',
          mask: undefined,
        },
      ],
      plain: ['id', 'note', 'customer_id'],
      primary: ['id'],
      numbered: [],
    });
    expect(customers!.fields.map(({ cell, index }) => [cell, index])).toEqual([
      ['name', 'name_bidx'],
      ['phone', undefined],
      ['address', undefined],
    ]);
    expect(payers!.fields.map(({ cell, key, mask }) => [cell, key, mask]).sort()).toEqual([
      ['card', 'card_key', 'card_mask'],
      ['full_name', 'full_name_key', undefined],
    ]);
    expect([...payers!.plain].sort()).toEqual(['id', 'kind', 'staff']);
    expect(payers!.numbered).toEqual(['id']);
  });

  it('are refused where a declaration is wrong', async () => {
    @Entity('wrong')
    class Wrong {
      @PrimaryColumn('int') id!: number;
      @Column('text') note_key!: string;
      @Encrypted({ purpose: 'personal-data' }) note!: string;
    }
    const wrong = dataSourceOf(shop.database.url, [Wrong]);
    await expect(encryptedTables(wrong)).rejects.toMatchObject({ code: 'ERR_CONFIG_FIELD' });
  });
});
