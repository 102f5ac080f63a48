import { DataSource } from 'typeorm';
import { Card } from '../app/models/card.js';
import { Customer } from '../app/models/customer.js';
import { CreateShop1763769600000 } from '../db/migrate/1763769600000-create-shop.js';

/** The shop's own database. Keys live in another one. */
export function shopDataSource(url: string): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: [Customer, Card],
    migrations: [CreateShop1763769600000],
  });
}
