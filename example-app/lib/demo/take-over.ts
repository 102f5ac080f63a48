/** Somebody has taken the web tier over: what its credentials and its database role are good for. */
import { attachFieldSeal } from 'fieldseal/typeorm';
import { Client } from 'pg';
import { Card } from '../../app/models/card.js';
import { shopDataSource } from '../../config/data-source.js';
import { shopFieldSeal } from '../../config/field-seal.js';
import type { LocalShop } from '../local-shop/local-shop.js';
import type { Stage } from './stage.js';
import { print, refusal, say } from './story.js';

const STATEMENTS = [
  'SELECT pan FROM cards',
  'SELECT name FROM customers',
  "UPDATE charges SET state = 'charged'",
  'DELETE FROM cards',
];

export async function takeOverWeb({ shop }: Stage): Promise<void> {
  say(
    'The web tier is taken over',
    'Its database role, and its KMS credentials with a stolen copy of the tables:',
  );
  const client = new Client({ connectionString: shop.databases.web });
  await client.connect();
  try {
    for (const sql of STATEMENTS) print(sql, await refusal(() => client.query(sql)));
  } finally {
    await client.end();
  }
  print('open the cards', await refusal(() => readCards(shop)));
}

/** With every right on the database, and the web tier's rights in the KMS. */
async function readCards({ databases, kms, arns }: LocalShop): Promise<void> {
  const seal = await shopFieldSeal({
    access: 'read-only',
    cardDelivery: process.env.CARD_DELIVERY ?? 'envelope',
    region: kms.region,
    keks: JSON.parse(arns) as Record<string, readonly string[]>,
    kms: { endpoint: kms.endpoint, credentials: kms.credentials('web') },
  });
  const stolen = attachFieldSeal(shopDataSource(databases.admin), seal);
  try {
    await stolen.initialize();
    await stolen.manager.find(Card);
  } finally {
    await stolen.destroy();
    await seal.close();
  }
}
