/** The main job, told in one page: a web tier that writes what it cannot read, and a payment tier that reads it. */
import 'reflect-metadata';
import { cardDelivery } from '../config/environment.js';
import { killWhileCharging, showCharges } from '../lib/demo/charge.js';
import { showDamage } from '../lib/demo/damage.js';
import { textsOf } from '../lib/demo/deliveries.js';
import { Stage } from '../lib/demo/stage.js';
import { print, say } from '../lib/demo/story.js';
import { takeOverWeb } from '../lib/demo/take-over.js';
import { searchLogs, showKmsCalls } from '../lib/demo/witness.js';
import { registerCustomer, showRows } from '../lib/demo/write.js';
import type { LocalShop } from '../lib/local-shop/local-shop.js';
import { runLocalShop, settings } from '../lib/local-shop/run.js';

const delivery = settings(cardDelivery);
const texts = textsOf(delivery);
say(
  'Start',
  `PostgreSQL, a local KMS and ${texts.tiers}, each with its own rights as \`fieldseal policy\` prints them:`,
);
const isTold = await runLocalShop({ cardDelivery: delivery }, tell);
if (isTold) say('Done', 'Everything that was started is stopped now.');
// All that was started is stopped; nothing that is left may keep this process.
process.exit();

async function tell(shop: LocalShop): Promise<void> {
  const stage = await Stage.start(shop);
  print('web tier', `process ${stage.web.pid}: ${texts.web}`);
  print('payment tier', `process ${stage.payment.pid}: ${texts.payment}`);
  if (stage.keys) print('key tier', `process ${stage.keys.pid}: makes key pairs, signs the list; no port`);
  await registerCustomer(stage);
  await showRows(stage);
  await takeOverWeb(stage);
  await showCharges(stage);
  await killWhileCharging(stage);
  await showDamage(stage);
  showKmsCalls(stage);
  searchLogs(stage);
  await stage.close();
}
