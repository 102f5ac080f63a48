/** All tiers with what they need, until Ctrl-C. PORT is the port of the web tier, by default 3000; CARD_DELIVERY is passed on. */
import 'reflect-metadata';
import { runLocalShop } from '../lib/local-shop/run.js';

const DEFAULT_PORT = 3000;

const { CARD_DELIVERY: cardDelivery = 'envelope' } = process.env;
const port = Number(process.env.PORT ?? DEFAULT_PORT);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error('PORT: expected a number from 0 to 65535.');
  process.exit(1);
}

await runLocalShop(
  { port, cardDelivery, onLine: (tier, line) => console.log(`[${tier}] ${line}`) },
  async (shop, interrupted) => {
    const { web } = await shop.startTiers();
    console.log(`\nThe shop: ${web.url}`);
    console.log(`Its database, as the owner: ${shop.databases.admin}`);
    if (shop.keyStore !== undefined) console.log(`Its key store, as the owner: ${shop.keyStore.admin}`);
    console.log('Ctrl-C ends everything.\n');
    await interrupted;
  },
);
process.exit();
