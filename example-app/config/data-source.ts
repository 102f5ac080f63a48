import { DataSource } from 'typeorm';
import { Card } from '../app/models/card.js';
import { Charge } from '../app/models/charge.js';
import { Customer } from '../app/models/customer.js';
import { CreateShop1763769600000 } from '../db/migrate/1763769600000-create-shop.js';
import { QueueCharges1763856000000 } from '../db/migrate/1763856000000-queue-charges.js';
import { ListPublicKeys1764028800000 } from '../db/migrate/1764028800000-list-public-keys.js';
import { SetChargesAside1764115200000 } from '../db/migrate/1764115200000-set-charges-aside.js';

/** The shop's database. Not attached yet: each tier attaches it to the field seal of its own rights. */
export function shopDataSource(url: string): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: [Customer, Card, Charge],
    migrations: [
      CreateShop1763769600000,
      QueueCharges1763856000000,
      ListPublicKeys1764028800000,
      SetChargesAside1764115200000,
    ],
    extra: { connectionTimeoutMillis: 5_000 },
  });
}
