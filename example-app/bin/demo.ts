/** The main job, told in one page: a web tier that writes what it cannot read, and a payment tier that reads it. */
import 'reflect-metadata';
import { killWhileCharging, showCharges } from '../lib/demo/charge.js';
import { showDamage } from '../lib/demo/damage.js';
import { Stage } from '../lib/demo/stage.js';
import { print, say } from '../lib/demo/story.js';
import { takeOverWeb } from '../lib/demo/take-over.js';
import { searchLogs, showKmsCalls } from '../lib/demo/witness.js';
import { registerCustomer, showRows } from '../lib/demo/write.js';
import type { LocalShop } from '../lib/local-shop/local-shop.js';
import { runLocalShop } from '../lib/local-shop/run.js';

say(
  'Start',
  'PostgreSQL, a local KMS and two tiers, each with its own rights as `fieldseal policy` prints them:',
);
const { CARD_DELIVERY: cardDelivery = 'envelope' } = process.env;
await runLocalShop({ cardDelivery }, tell);
// All that was started is stopped; nothing that is left may keep this process.
process.exit();

async function tell(shop: LocalShop): Promise<void> {
  const stage = await Stage.start(shop);
  print('web tier', `process ${stage.web.pid}: GenerateDataKey; INSERT, SELECT of masks, states and ids`);
  print('payment tier', `process ${stage.payment.pid}: Decrypt; SELECT, UPDATE of states; no port`);
  await registerCustomer(stage);
  await showRows(stage);
  await takeOverWeb(stage);
  await showCharges(stage);
  await killWhileCharging(stage);
  await showDamage(stage);
  showKmsCalls(stage);
  searchLogs(stage);
  await stage.close();
  say('Done', 'Everything that was started is stopped now.');
}
