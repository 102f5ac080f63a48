/** The web tier as a process of its own, with the rights of its tier alone. */
import { GetKeyPolicyCommand } from '@aws-sdk/client-kms';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Browser } from '../../example-app/lib/local-shop/browser.js';
import {
  kekArns,
  kmsClient,
  kmsEnvironment,
  putKeyPolicies,
} from '../../example-app/lib/local-shop/local-kms.js';
import { startTier } from '../../example-app/lib/local-shop/tier-process.js';
import { openShop, type TestShop } from './shop.js';
import { CARD, CUSTOMER, cvvIn, SECRETS } from './typed-in.js';

const NOBODY = '00000000-0000-4000-8000-000000000000';

let test: TestShop;
let url: string;
let visitor: Browser;

beforeAll(async () => {
  test = await openShop();
  ({ url } = await test.shop.startWeb());
}, 120_000);
afterAll(() => test.stop());

const stored = async (): Promise<unknown> => {
  const [row] = await test.owner.query<unknown[]>(
    'SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM cards) AS cards, (SELECT count(*) FROM charges) AS charges',
  );
  return row;
};

describe('a visitor', () => {
  it('registers with a card, and sees its mask and nothing else of what was typed in', async () => {
    visitor = new Browser(url);
    const { status, path, body } = await visitor.submit('/customers/new', { ...CUSTOMER, ...CARD });
    expect(status).toBe(200);
    expect(path).toMatch(/^\/customers\/[0-9a-f-]{36}$/u);
    expect(body).toContain('•••• 9015');
    expect(body).toContain('pending');
    expect(body).toContain('only the payment tier can read them');
    for (const secret of [...SECRETS, 'O&#39;Hara']) expect(body).not.toContain(secret);
    expect(await stored()).toEqual({ customers: '1', cards: '1', charges: '1' });
  });

  it('adds a card later', async () => {
    const { path } = await visitor.submit('/customers/new', CUSTOMER);
    expect((await visitor.get(path)).body).toContain('No card yet');
    const { body } = await visitor.submit(`${path}/cards/new`, CARD);
    expect(body).toContain('•••• 9015');
    expect(await stored()).toEqual({ customers: '2', cards: '2', charges: '2' });
  });

  it('gets pages that nobody keeps, frames or adds scripts to', async () => {
    const { headers } = await visitor.get('/customers/new');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'/u);
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('what is wrong', () => {
  it.each([
    ['nothing at all', {}, ['Enter your name.', 'Enter an e-mail address', 'Enter a phone number']],
    ['an e-mail address without a host', { ...CUSTOMER, email: 'wanda@' }, ['Enter an e-mail address']],
    ['a digit of the number', { ...CUSTOMER, ...CARD, number: '4929123456789016' }, ['a digit is wrong']],
    ['a number with letters', { ...CUSTOMER, ...CARD, number: '4929abc' }, ['13 to 19 digits']],
    ['an expiry date of the past', { ...CUSTOMER, ...CARD, expires: '01/20' }, ['This card has expired.']],
    ['an expiry date of month 13', { ...CUSTOMER, ...CARD, expires: '13/49' }, ['as MM/YY']],
    ['a card without its security code', { ...CUSTOMER, ...CARD, cvv: '' }, ['3 or 4 digits']],
  ])('is said beside its field, and nothing is stored: %s', async (_, fields, messages) => {
    const before = await stored();
    const { status, body } = await visitor.submit('/customers/new', fields);
    expect(status).toBe(422);
    for (const message of messages) expect(body).toContain(message);
    for (const secret of [CARD.number, `value="${CARD.cvv}"`]) expect(body).not.toContain(secret);
    expect(await stored()).toEqual(before);
  });

  it('is shown again escaped, but for the card', async () => {
    const { body } = await visitor.submit('/customers/new', { ...CARD, name: '"><script>alert(1)</script>' });
    expect(body).toContain('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"');
    expect(body).not.toContain(CARD.number);
  });

  it('is a form from another site', async () => {
    const before = await stored();
    const response = await fetch(`${url}/customers`, {
      method: 'POST',
      body: new URLSearchParams({ ...CUSTOMER }),
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('Nothing was stored');
    expect(await stored()).toEqual(before);
  });

  const big = new URLSearchParams({ name: 'n'.repeat(20_000) });
  it.each<readonly [string, string, RequestInit, number]>([
    ['no id', '/customers/1', {}, 404],
    ['an unknown customer', `/customers/${NOBODY}`, {}, 404],
    ['a card for an unknown customer', `/customers/${NOBODY}/cards/new`, {}, 404],
    ['an unknown address', '/nothing/here', {}, 404],
    ['an address that cannot be decoded', '/customers/%ff', {}, 400],
    ['no form', '/customers', { method: 'POST', body: '{}', headers: { 'content-type': 'text/xml' } }, 415],
    ['a form that is too big', '/customers', { method: 'POST', body: big }, 413],
  ])('is a request: %s', async (_, path, request, status) => {
    const response = await fetch(url + path, request);
    expect(response.status).toBe(status);
    const body = await response.text();
    expect(body).toMatch(/^<!doctype html>/u);
    expect(body).not.toMatch(/Error|\bat \/|node_modules/u);
  });

  it('is a database that fails: the page shows nothing of it', async () => {
    const { path } = await visitor.submit('/customers/new', CUSTOMER);
    await test.owner.query('ALTER TABLE cards RENAME TO elsewhere');
    const { status, body } = await visitor.get(path);
    await test.owner.query('ALTER TABLE elsewhere RENAME TO cards');
    expect(status).toBe(500);
    expect(body).toContain('Something went wrong');
    expect(body).not.toMatch(/cards"|relation|Error/u);
  });
});

describe('a KMS that is down', () => {
  afterEach(() => test.shop.kms.faults.clear());

  it('stores nothing and says so', async () => {
    const before = await stored();
    test.shop.kms.faults.inject('GenerateDataKey', 'internal');
    const { status, body } = await visitor.submit('/customers/new', { ...CUSTOMER, ...CARD });
    expect(status).toBe(503);
    expect(body).toContain('nothing was stored');
    expect(await stored()).toEqual(before);
  });

  it('stores no customer either when only the key of the card is refused', async () => {
    const before = await stored();
    const arns = await kekArns(test.shop.kms);
    for (const keyArn of arns['card-number']!)
      test.shop.kms.faults.inject('GenerateDataKey', 'denied', { keyArn });
    const { status } = await visitor.submit('/customers/new', { ...CUSTOMER, ...CARD });
    expect(status).toBe(503);
    expect(await stored()).toEqual(before);
    const made = test.shop.kms
      .audit()
      .filter(({ event, error }) => event === 'GenerateDataKey' && error === null);
    expect(made.at(-1)!.encryptionContext).toMatchObject({ purpose: 'personal-data' });
  });
});

describe('the rights of the web tier', () => {
  it('are no reading of cells, no changing of rows, and in the KMS the making of keys', async () => {
    const client = new Client({ connectionString: test.shop.databases.web });
    await client.connect();
    for (const sql of [
      ...['pan', 'pan_key', 'expires', '*'].map((column) => `SELECT ${column} FROM cards`),
      ...['name', 'email', 'phone', '*'].map((column) => `SELECT ${column} FROM customers`),
      ...['reason', '*'].map((column) => `SELECT ${column} FROM charges`),
      "UPDATE charges SET state = 'charged'",
      "INSERT INTO charges (id, card_id, amount_cents, state) SELECT gen_random_uuid(), id, 1, 'charged' FROM cards",
      'DELETE FROM cards',
    ])
      await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' });
    await client.query('SELECT id, customer_id, pan_mask, created_at FROM cards');
    await client.end();
    const asked = test.shop.kms.audit().filter(({ principal }) => principal === 'web');
    const worked = asked.filter(({ error }) => error === null);
    expect(new Set(worked.map(({ event }) => event))).toEqual(new Set(['GenerateDataKey']));
  });
});

describe('a web tier that cannot start', () => {
  const fails = async (env: Record<string, string>): Promise<string> => {
    const { kms, databases } = test.shop;
    const tier = startTier({
      program: test.program('web'),
      env: {
        ...kmsEnvironment(kms, 'web'),
        DATABASE_URL: databases.web,
        COOKIE_SECRET: 'x'.repeat(32),
        PORT: '0',
        ...env,
      },
    });
    await expect(tier.ready()).rejects.toThrow('The process ended');
    return tier.output();
  };

  it.each([
    ['COOKIE_SECRET', { COOKIE_SECRET: 'short' }, 'COOKIE_SECRET: expected 32 characters'],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://x' }, 'DATABASE_URL: expected a URL such as postgres://'],
    ['PORT', { PORT: 'http' }, 'PORT: '],
    ['CARD_DELIVERY', { CARD_DELIVERY: 'pigeon' }, 'CARD_DELIVERY: expected envelope or sealed, got pigeon'],
    ['CARD_DELIVERY pool', { CARD_DELIVERY: 'pool' }, 'CARD_DELIVERY: expected envelope or sealed, got pool'],
    ['CARD_DELIVERY sealed', { CARD_DELIVERY: 'sealed' }, 'LIST_VERIFICATION_KEY: expected a public Ed25519'],
    ['the KMS', { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:9' }, 'ERR_KMS_UNAVAILABLE'],
    ['the database', { DATABASE_URL: 'postgres://a:secret-word@127.0.0.1:9/shop' }, 'is the database there'],
  ])('says in one line what is wrong: %s', async (_, env, message) => {
    const output = await fails(env);
    expect(output).toContain(message);
    expect(output.split('\n')).toHaveLength(1);
    expect(output).not.toMatch(/secret-word/u);
  });

  it('says in one line that its port is taken', async () => {
    const PORT = new URL(test.shop.kms.endpoint).port;
    const output = await fails({ PORT });
    expect(output).toContain(`Port ${PORT} of 127.0.0.1 is taken; set PORT to another one`);
    expect(output.split('\n')).toHaveLength(1);
    expect(output).not.toContain('"err"');
  });

  it('says so when it may not make keys', async () => {
    expect(await fails(kmsEnvironment(test.shop.kms, 'payment'))).toContain('ERR_KMS_DENIED');
  });

  it('says so when it may open what it writes', async () => {
    const administrator = kmsClient(test.shop.kms, 'administrator');
    const [KeyId] = (await kekArns(test.shop.kms))['card-number'] as [string];
    const { Policy } = await administrator.send(new GetKeyPolicyCommand({ KeyId }));
    const policy = JSON.parse(Policy!) as { readonly Statement: object[] };
    const tooMuch = {
      ...{ Sid: 'TooMuch', Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' },
      Principal: { AWS: 'arn:aws:iam::000000000000:user/web' },
    };
    await putKeyPolicies(test.shop.kms, {
      [KeyId]: { ...policy, Statement: [...policy.Statement, tooMuch] },
    });
    const output = await fails({});
    await putKeyPolicies(test.shop.kms, { [KeyId]: policy });
    administrator.destroy();
    expect(output).toContain('ERR_KMS_TOO_MUCH_PRIVILEGE');
  });
});

it('writes nothing of what was typed in to any log', async () => {
  await fetch(`${url}/?number=${CARD.number}`);
  expect(test.logs()).toContain('INSERT INTO "cards"');
  expect(test.logs()).toContain('request completed');
  expect(test.logged(SECRETS)).toEqual([]);
  expect(cvvIn(test.logs())).toBe(false);
});
