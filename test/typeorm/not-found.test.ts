/** What `…OrFail` tells of the criteria: what TypeORM tells, but where they may hold the value of an encrypted field. */
import 'reflect-metadata';
import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Card, Customer } from './entities.js';
import { openShop, type Shop } from './shop.js';

class Size {
  @Column('int') height!: number;
}

@Entity('parcels')
class Parcel {
  @PrimaryColumn('int') id!: number;
  @Column('varchar') town!: string;
  @Column(() => Size) size!: Size;
  @ManyToOne(() => Customer, { nullable: true })
  @JoinColumn({ name: 'customer_id' })
  customer!: Relation<Customer> | null;
}

let shop: Shop;
beforeAll(async () => (shop = await openShop({ entities: [Customer, Card, Parcel] })));
afterAll(() => shop.close());

const NAME = 'Ada Nobody';
const parcels = () => shop.dataSource.getRepository(Parcel);
const failure = async (work: Promise<unknown>): Promise<Error & { criteria: unknown }> =>
  work.then(
    () => expect.fail('found something'),
    (error: unknown) => error as Error & { criteria: unknown },
  );

describe('an entity without encrypted fields', () => {
  it('shows its criteria as TypeORM does', async () => {
    const where = { town: 'Nowhere', size: { height: 1 } };
    const byOptions = await failure(parcels().findOneOrFail({ where }));
    expect(byOptions).toMatchObject({ name: 'EntityNotFoundError', criteria: { where } });
    const by = await failure(parcels().findOneByOrFail([where, { town: 'Elsewhere' }]));
    expect(by.message).toContain('Nowhere');
    expect(by.criteria).toEqual([where, { town: 'Elsewhere' }]);
    const built = await failure(
      parcels().createQueryBuilder('p').where('p.town = :town', { town: 'Nowhere' }).getOneOrFail(),
    );
    expect(built).toMatchObject({ name: 'EntityNotFoundError', criteria: { town: 'Nowhere' } });
  });

  it('hides them where they name an encrypted field of a related one', async () => {
    const where = { town: 'Nowhere', customer: { name: NAME } };
    const errors = [
      await failure(parcels().findOneOrFail({ where })),
      await failure(parcels().findOneByOrFail([{ town: 'Nowhere' }, where])),
      await failure(
        parcels()
          .createQueryBuilder('p')
          .innerJoin('p.customer', 'c')
          .where({ customer: { name: NAME } })
          .getOneOrFail(),
      ),
    ];
    for (const error of errors) {
      expect(error.name).toBe('EntityNotFoundError');
      expect(JSON.stringify([error.message, error.criteria])).not.toContain(NAME);
    }
  });
});

describe('an entity with encrypted fields', () => {
  it('hides its criteria', async () => {
    const customers = shop.dataSource.getRepository(Customer);
    for (const error of [
      await failure(customers.findOneByOrFail({ name: NAME })),
      await failure(customers.findOneOrFail({ where: { name: NAME } })),
      await failure(customers.createQueryBuilder('c').where({ name: NAME }).getOneOrFail()),
    ])
      expect(JSON.stringify([error.message, error.criteria])).not.toContain(NAME);
  });
});
