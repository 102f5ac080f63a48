/** The web tier writes. */
import { textsOf } from './deliveries.js';
import { CARDS, CUSTOMER } from './typed-in.js';
import type { Stage } from './stage.js';
import { print, say } from './story.js';

export async function registerCustomer(stage: Stage): Promise<void> {
  say(
    'Register a customer and add two cards, over HTTP',
    'The page shows masks, and never a name or a number again:',
  );
  const { visitor } = stage;
  const { path } = await visitor.submit('/customers/new', { ...CUSTOMER, ...CARDS.good });
  stage.customerPage = path;
  await visitor.submit(`${path}/cards/new`, CARDS.declined);
  for (const row of await stage.shownCards()) print('shown', row);
}

interface RawRow {
  readonly name: Buffer;
  readonly pan: Buffer;
  readonly pan_key: string;
  readonly pan_mask: string;
}

export async function showRows({ owner, shop }: Stage): Promise<void> {
  say('The rows in the database', textsOf(shop.cardDelivery).rows);
  const rows = await owner.query<RawRow[]>(
    `SELECT name, pan, pan_key, pan_mask FROM cards JOIN customers ON customers.id = customer_id ORDER BY cards.created_at`,
  );
  print('name     (cell)', hexOf(rows[0]!.name));
  for (const { pan, pan_key, pan_mask } of rows) {
    print('pan      (cell)', hexOf(pan));
    print('pan_key  (fingerprint)', pan_key);
    print('pan_mask (mask)', pan_mask);
  }
}

function hexOf(cell: Buffer): string {
  return `${cell.toString('hex', 0, 20)}…, ${cell.length} bytes`;
}
