/** Somebody has taken the web tier over: what its credentials and its database role are good for. */
import { attachFieldSeal } from 'fieldseal/typeorm';
import { Client } from 'pg';
import { Card } from '../../app/models/card.js';
import { shopDataSource } from '../../config/data-source.js';
import { shopFieldSeal } from '../../config/field-seal.js';
import { paymentKeys } from '../../config/key-sources.js';
import { shopPurposes } from '../../config/purposes.js';
import { urlOf } from '../local-shop/local-databases.js';
import type { LocalShop } from '../local-shop/local-shop.js';
import { textsOf } from './deliveries.js';
import type { Stage } from './stage.js';
import { decryptStolenPair } from './stolen-key-pair.js';
import { print, refusal, say } from './story.js';

const STATEMENTS = [
  'SELECT pan FROM cards',
  'SELECT name FROM customers',
  "UPDATE charges SET state = 'charged'",
  'DELETE FROM cards',
];
/** To have cards sealed to a key of his own. */
const OWN_LIST = "UPDATE public_key_lists SET list=''";

export async function takeOverWeb({ shop }: Stage): Promise<void> {
  const { databases, keyStore, cardDelivery } = shop;
  say('The web tier is taken over', textsOf(cardDelivery).takeOver);
  await execute(databases.web, keyStore === undefined ? STATEMENTS : [...STATEMENTS, OWN_LIST]);
  if (keyStore !== undefined) {
    const asWeb = urlOf(databases.web, { database: 'keys' });
    print('connect to the key store', await refusal(() => execute(asWeb, [])));
    print('decrypt a private key', await refusal(() => decryptStolenPair(shop, keyStore)));
  }
  print('open the cards', await refusal(() => readCards(shop)));
}

async function execute(connectionString: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString });
  try {
    await client.connect();
    for (const sql of statements) print(sql, await refusal(() => client.query(sql)));
  } finally {
    await client.end();
  }
}

/** With every right on the databases, and the web tier's rights in the KMS. */
async function readCards({ databases, keyStore, kms, arns, cardDelivery }: LocalShop): Promise<void> {
  const settings = {
    AWS_REGION: kms.region,
    KEK_ARNS: JSON.parse(arns) as Record<string, string[]>,
    KEY_STORE_URL: keyStore?.admin,
  };
  const seal = await shopFieldSeal({
    access: 'read-only',
    purposes: shopPurposes(cardDelivery),
    keys: paymentKeys(settings, { endpoint: kms.endpoint, credentials: kms.credentials('web') }),
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
