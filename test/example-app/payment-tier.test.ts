/** The payment tier as a process of its own: nothing is charged twice, nothing is forgotten. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Browser } from '../../example-app/lib/local-shop/browser.js';
import type { TierProcess } from '../../example-app/lib/local-shop/tier-process.js';
import { portsOf } from './listening.js';
import { openShop, type TestShop } from './shop.js';
import { CARD, CUSTOMER, cvvIn, DECLINED_CARD, SECRETS } from './typed-in.js';

interface Booking {
  readonly idempotency_key: string;
  readonly outcome: string;
  readonly requests: number;
}

interface ChargeRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
}

const SLOW = { ACQUIRER_DELAY_MS: '1500' };
/** Never, as far as a test can tell: such a process is woken by NOTIFY alone. */
const NO_CRON = { CHARGE_CRON: '0 0 1 1 *' };

let test: TestShop;
let visitor: Browser;
let payments: TierProcess[] = [];

beforeAll(async () => {
  test = await openShop();
  visitor = new Browser((await test.shop.startWeb()).url);
}, 120_000);
afterAll(() => test.stop());

beforeEach(async () => {
  await test.owner.query('TRUNCATE customers, cards, charges');
  await test.books.query('TRUNCATE bookings');
});
afterEach(async () => {
  test.shop.kms.faults.clear();
  await Promise.all(payments.map((payment) => payment.stop()));
  payments = [];
});

async function startPayment(env: Readonly<Record<string, string>> = {}): Promise<TierProcess> {
  const payment = await test.shop.startPayment(env);
  payments.push(payment);
  return payment;
}

/** Registers a customer with a card. @returns The path of the customer's page. */
async function order(card: Readonly<Record<string, string>> = CARD): Promise<string> {
  const { status, path } = await visitor.submit('/customers/new', { ...CUSTOMER, ...card });
  expect(status).toBe(200);
  return path;
}

const charges = (): Promise<ChargeRow[]> =>
  test.owner.query<ChargeRow[]>('SELECT id, state, reason FROM charges ORDER BY created_at');
const bookings = (): Promise<Booking[]> => test.books.query<Booking[]>('SELECT * FROM bookings');

const until = (check: () => Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 50 });
const untilCharged = (): Promise<void> =>
  until(async () => {
    expect((await charges()).filter(({ state }) => state === 'pending')).toEqual([]);
  });

describe('a payment process', () => {
  it('is woken by a new charge, and the customer sees what became of it', async () => {
    await startPayment(NO_CRON);
    const path = await order();
    await visitor.submit(`${path}/cards/new`, DECLINED_CARD);
    await untilCharged();
    expect(await charges()).toMatchObject([
      { state: 'charged', reason: null },
      { state: 'declined', reason: 'card_declined' },
    ]);
    const { body } = await visitor.get(path);
    expect(body).toMatch(/•••• 9015.*charged.*•••• 0002.*declined/su);
    expect(body).not.toContain('card_declined');
  });

  it('charges what was ordered while it was not there', async () => {
    await order();
    await startPayment(NO_CRON);
    await untilCharged();
    expect(await bookings()).toMatchObject([{ outcome: 'charged', requests: 1 }]);
  });

  it.runIf(process.platform === 'linux')('listens on no port', async () => {
    const payment = await startPayment();
    expect(portsOf(payment.pid)).toEqual([]);
    expect(portsOf(process.pid)).toContain(Number(new URL(test.shop.kms.endpoint).port));
  });

  it('uses Decrypt, and nothing else that a key is made or moved with', async () => {
    await startPayment();
    await order();
    await untilCharged();
    const asked = test.shop.kms.audit().filter(({ principal }) => principal === 'payment');
    expect(new Set(asked.map(({ event }) => event))).toEqual(new Set(['Decrypt']));
  });

  it('is found again by cron when its connection is lost', async () => {
    await startPayment();
    await test.owner.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop_payment'",
    );
    await order();
    await untilCharged();
    await until(async () => {
      const listening = "SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN charges'";
      expect(await test.owner.query(listening)).toHaveLength(1);
    });
  });

  it('goes on after the database was restarted', async () => {
    await startPayment();
    await test.shop.postgres.restart();
    await until(async () => {
      await order();
    });
    await untilCharged();
  });

  it('leaves charges pending while the KMS is down, and charges them afterwards', async () => {
    test.shop.kms.faults.inject('Decrypt', 'internal');
    const payment = await startPayment();
    await order();
    await payment.line('charging stopped');
    expect(await charges()).toMatchObject([{ state: 'pending' }]);
    test.shop.kms.faults.clear();
    await untilCharged();
    expect(await bookings()).toMatchObject([{ outcome: 'charged', requests: 1 }]);
  });

  it('does not charge a card whose cell was changed, and goes on with the next one', async () => {
    await order();
    await test.owner.query(
      'UPDATE cards SET pan = set_byte(pan, length(pan) - 1, get_byte(pan, length(pan) - 1) # 1)',
    );
    await order(DECLINED_CARD);
    await startPayment();
    await untilCharged();
    expect(await charges()).toMatchObject([
      { state: 'failed', reason: 'ERR_OPEN_FAILED' },
      { state: 'declined' },
    ]);
    expect(await bookings()).toHaveLength(1);
  });
});

describe('a charge', () => {
  it('is not lost when its process is killed before the acquirer has booked it', async () => {
    const payment = await startPayment(SLOW);
    await order();
    await untilLocked();
    await payment.stop('SIGKILL');
    expect(await bookings()).toEqual([]);
    expect(await charges()).toMatchObject([{ state: 'pending' }]);
    await startPayment();
    await untilCharged();
    expect(await bookings()).toMatchObject([{ outcome: 'charged', requests: 1 }]);
  });

  it('is not doubled when its process is killed after the acquirer has booked it', async () => {
    const payment = await startPayment(SLOW);
    await order();
    await until(async () => expect(await bookings()).toHaveLength(1));
    await payment.stop('SIGKILL');
    const [pending] = await charges();
    expect(pending).toMatchObject({ state: 'pending' });
    await startPayment();
    await untilCharged();
    expect(await charges()).toMatchObject([{ state: 'charged' }]);
    expect(await bookings()).toMatchObject([
      { idempotency_key: pending!.id, outcome: 'charged', requests: 2 },
    ]);
  });

  it('is taken by one of two processes', async () => {
    for (let i = 0; i < 10; i++) await order();
    const slowly = { ACQUIRER_DELAY_MS: '100' };
    await Promise.all([startPayment(slowly), startPayment(slowly)]);
    await untilCharged();
    expect((await bookings()).map(({ requests }) => requests)).toEqual(Array.from({ length: 10 }, () => 1));
  });

  it('is finished before a process ends in order', async () => {
    const payment = await startPayment(SLOW);
    await order();
    await untilLocked();
    await payment.stop();
    expect(await charges()).toMatchObject([{ state: 'charged' }]);
  });
});

it.each([
  ['CHARGE_CRON', 'now and then', 'CHARGE_CRON: expected a cron pattern such as * * * * *'],
  ['ACQUIRER_DELAY_MS', '-1', 'ACQUIRER_DELAY_MS: '],
  ['ACQUIRER_URL', '', 'ACQUIRER_URL: expected a URL such as postgres://'],
  ['KEK_ARNS', '{', 'KEK_ARNS: '],
  ['CARD_DELIVERY', 'pigeon', 'CARD_DELIVERY: expected envelope or sealed, got pigeon'],
  ['CARD_DELIVERY', 'sealed', 'KEY_STORE_URL: expected a URL such as postgres://'],
])('says in one line what is wrong with %s', async (name, value, message) => {
  const failed = await test.shop.startPayment({ [name]: value }).catch((error: unknown) => String(error));
  expect(failed).toContain(message);
  expect(failed).toMatch(/It wrote:\n[^\n]+$/u);
});

/** Until the charge is in the hands of a process. */
const untilLocked = (): Promise<void> =>
  until(async () => {
    const open =
      "SELECT 1 FROM pg_stat_activity WHERE usename = 'shop_payment' AND state = 'idle in transaction'";
    expect(await test.owner.query(open)).toHaveLength(1);
  });

it('writes nothing of what was typed in to any log', () => {
  expect(test.logs()).toContain('charge done');
  expect(test.logged(SECRETS)).toEqual([]);
  expect(cvvIn(test.logs())).toBe(false);
});
