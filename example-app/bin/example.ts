/** All tiers with what they need, until Ctrl-C. PORT is the port of the web tier, by default 3000; CARD_DELIVERY is passed on. */
import 'reflect-metadata';
import { cardDelivery, SettingsError } from '../config/environment.js';
import { runLocalShop, settings } from '../lib/local-shop/run.js';
import { reasonIn } from '../lib/local-shop/tier-process.js';

const DEFAULT_PORT = 3000;

const { port, delivery } = settings(() => ({ port: portOf(process.env.PORT), delivery: cardDelivery() }));

await runLocalShop({ port, cardDelivery: delivery, onLine: show }, async (shop, interrupted) => {
  const { web } = await shop.startTiers();
  console.log(`\nThe shop: ${web.url}`);
  console.log(`Its database, as the owner: ${shop.databases.admin}`);
  if (shop.keyStore !== undefined) console.log(`Its key store, as the owner: ${shop.keyStore.admin}`);
  console.log('Ctrl-C ends everything.\n');
  await interrupted;
});
process.exit();

function portOf(text = String(DEFAULT_PORT)): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new SettingsError('PORT: expected a number from 0 to 65535.');
}

/** But for what keeps a tier from starting, which is told in the end. */
function show(tier: string, line: string): void {
  if (reasonIn(line) === undefined) console.log(`[${tier}] ${line}`);
}
