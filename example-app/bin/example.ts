/** Both tiers with all they need, until Ctrl-C. PORT is the port of the web tier, by default 3000; CARD_DELIVERY is passed on. */
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
    const [web] = await Promise.all([shop.startWeb(), shop.startPayment()]);
    console.log(`\nThe shop: ${web.url}`);
    console.log(`Its database, as the owner: ${shop.databases.admin}`);
    console.log('Ctrl-C ends everything.\n');
    await interrupted;
  },
);
process.exit();
