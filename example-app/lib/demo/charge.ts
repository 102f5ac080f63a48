/** The payment tier charges, and is killed while it does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Stage } from './stage.js';
import { print, say } from './story.js';
import { CARDS } from './typed-in.js';

/** Long enough to be killed in, before and after the acquirer books. */
const SLOW_ACQUIRER_MS = '700';

export async function showCharges(stage: Stage): Promise<void> {
  say(
    'The payment tier charges',
    'A new row has woken it; it opens the number, asks the acquirer and writes the state:',
  );
  for (const row of await stage.charged()) print('shown', row);
}

export async function killWhileCharging(stage: Stage): Promise<void> {
  say('The payment tier is killed with kill -9', 'The acquirer has booked the charge, its answer is lost:');
  await stage.payment.stop();
  stage.payment = await stage.shop.startPayment({ ACQUIRER_DELAY_MS: SLOW_ACQUIRER_MS });
  const books = new Client({ connectionString: stage.shop.databases.acquirer });
  await books.connect();
  try {
    const before = await bookings(books);
    await stage.visitor.submit(`${stage.customerPage}/cards/new`, CARDS.killed);
    while ((await bookings(books)).count === before.count) await sleep(20);
    await stage.payment.stop('SIGKILL');
    print('after kill -9', (await stage.shownCards()).at(-1)!);
    stage.payment = await stage.shop.startPayment();
    print('after a new start', (await stage.charged()).at(-1)!);
    const after = await bookings(books);
    print(
      'bookings of this charge',
      `${after.count - before.count}, asked for ${after.requests - before.requests} times`,
    );
  } finally {
    await books.end();
  }
}

interface Bookings {
  readonly count: number;
  readonly requests: number;
}

async function bookings(books: Client): Promise<Bookings> {
  const { rows } = await books.query<Bookings>(
    'SELECT count(*)::int AS count, coalesce(sum(requests), 0)::int AS requests FROM bookings',
  );
  return rows[0]!;
}
