/** The shop with cards that are sealed to key pairs: three tiers as processes of their own, each with its printed rights. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PublicKeyLists } from '../../example-app/app/services/public-key-lists.js';
import { decryptStolenPair } from '../../example-app/lib/demo/stolen-key-pair.js';
import { Browser } from '../../example-app/lib/local-shop/browser.js';
import type { LocalKeyStore } from '../../example-app/lib/local-shop/local-key-store.js';
import type { LocalShop } from '../../example-app/lib/local-shop/local-shop.js';
import type { TierProcess } from '../../example-app/lib/local-shop/tier-process.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { signPublicKeys } from '../../src/keys/public-key-list.js';
import { portsOf } from './listening.js';
import { openShop, type TestShop } from './shop.js';
import { CARD, CUSTOMER, cvvIn, DECLINED_CARD, SECRETS } from './typed-in.js';

const SCOPE = { application: 'shop', environment: 'demo', purpose: 'card-number' };

let test: TestShop;
let shop: LocalShop;
let keyStore: LocalKeyStore;

beforeAll(async () => {
  test = await openShop({ cardDelivery: 'sealed' });
  ({ shop } = test);
  keyStore = shop.keyStore!;
}, 120_000);
afterAll(() => test.stop());

const failure = (start: Promise<unknown>): Promise<string> =>
  start.then(
    () => 'started',
    (error: unknown) => String(error),
  );

const until = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check, { timeout: 20_000, interval: 50 });

async function register(url: string, card: Readonly<Record<string, string>> = CARD) {
  const visitor = new Browser(url);
  return { visitor, ...(await visitor.submit('/customers/new', { ...CUSTOMER, ...card })) };
}

interface ChargeRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
}

const charges = (): Promise<ChargeRow[]> =>
  test.owner.query<ChargeRow[]>('SELECT id, state, reason FROM charges ORDER BY created_at');

describe('before the key tier has run for the first time', () => {
  it.each([
    ['web', () => shop.startWeb(), 'ERR_KEY_LIST_REFUSED'],
    ['payment', () => shop.startPayment(), 'ERR_STORE_EMPTY'],
  ])('the %s tier does not start, and says why', async (_, start, code) => {
    expect(await failure(start())).toMatch(new RegExp(`${code}[^\\n]*cannot start`, 'u'));
  });

  it.each([
    ['CARD_DELIVERY', 'envelope', 'CARD_DELIVERY: expected sealed'],
    ['CARD_DELIVERY', 'pigeon', 'CARD_DELIVERY: expected envelope or sealed, got pigeon'],
    ['KEY_STORE_URL', '', 'KEY_STORE_URL: expected a URL such as postgres://'],
    ['LIST_SIGNING_KEY', 'secret-word', 'LIST_SIGNING_KEY: expected a private Ed25519 key as PEM'],
    ['PUBLISH_CRON', 'now and then', 'PUBLISH_CRON: expected a cron pattern such as * * * * *'],
  ])('the key tier says in one line what is wrong with %s', async (name, value, message) => {
    const failed = await failure(shop.startKeys({ [name]: value }));
    expect(failed).toContain(message);
    expect(failed).toMatch(/It wrote:\n[^\n]+$/u);
    expect(failed).not.toContain('secret-word');
  });
});

describe('a shop with sealed cards', () => {
  let keys: TierProcess;
  let web: TierProcess & { readonly url: string };
  let payment: TierProcess;

  beforeAll(async () => {
    const started = await shop.startTiers();
    ({ web, payment } = started);
    keys = started.keys!;
  }, 60_000);

  it('takes a card, shows its mask, and charges it', async () => {
    const { visitor, status, path, body } = await register(web.url);
    expect(status).toBe(200);
    expect(body).toContain('•••• 9015');
    for (const secret of SECRETS) expect(body).not.toContain(secret);
    await visitor.submit(`${path}/cards/new`, DECLINED_CARD);
    await until(async () => {
      expect(await charges()).toMatchObject([
        { state: 'charged', reason: null },
        { state: 'declined', reason: 'card_declined' },
      ]);
    });
    const [row] = await test.owner.query<[{ pan: Buffer; name: Buffer }]>(
      'SELECT pan, name FROM cards JOIN customers ON customers.id = customer_id',
    );
    // Sealed delivery, and envelope delivery.
    expect([row.pan.toString('hex', 0, 2), row.name.toString('hex', 0, 2)]).toEqual(['f521', 'f511']);
  });

  it('sets a charge aside whose card names a key pair that nobody made, and goes on with the next one', async () => {
    const [{ id }] = await test.owner.query<[{ id: string }]>(
      'SELECT id FROM cards ORDER BY created_at LIMIT 1',
    );
    await nameAnotherPair(id);
    await test.owner.query(
      'INSERT INTO charges (id, card_id, amount_cents) VALUES (gen_random_uuid(), $1, 1)',
      [id],
    );
    await register(web.url);
    await until(async () => {
      expect((await charges()).slice(2)).toMatchObject([
        { state: 'pending', reason: 'ERR_KEY_NOT_FOUND' },
        { state: 'charged' },
      ]);
    });
    // As when an operator has put the key store back in order.
    await nameAnotherPair(id);
    await test.owner.query("UPDATE charges SET next_attempt_at = now() WHERE state = 'pending'");
    await until(async () => expect((await charges())[2]).toMatchObject({ state: 'charged', reason: null }));
  });

  it('adds a card while the KMS is down, and no customer, whose name needs it', async () => {
    const { visitor, path } = await register(web.url, {});
    shop.kms.faults.inject('GenerateDataKey', 'internal');
    expect((await register(web.url)).status).toBe(503);
    const { status, body } = await visitor.submit(`${path}/cards/new`, CARD);
    shop.kms.faults.clear();
    expect(status).toBe(200);
    expect(body).toContain('•••• 9015');
  });

  it.runIf(process.platform === 'linux')('has one tier that listens on a port', () => {
    expect(portsOf(web.pid)).toHaveLength(1);
    expect(portsOf(payment.pid)).toEqual([]);
    expect(portsOf(keys.pid)).toEqual([]);
  });

  it('asks the KMS for what each tier does, and for cards the web tier asks for nothing', () => {
    const worked = shop.kms.audit().filter(({ error }) => error === null);
    const askedBy = (tier: string) => worked.filter(({ principal }) => principal === tier);
    const events = (tier: string) => [...new Set(askedBy(tier).map(({ event }) => event))].sort();
    expect(events('web')).toEqual(['GenerateDataKey']);
    expect(events('payment')).toEqual(['Decrypt']);
    expect(events('keys')).toEqual([
      'Decrypt',
      'DescribeKey',
      'GenerateDataKey',
      'GenerateDataKeyPairWithoutPlaintext',
    ]);
    const purposes = (tier: string) =>
      new Set(askedBy(tier).flatMap(({ encryptionContext }) => encryptionContext?.purpose ?? []));
    expect(purposes('web')).toEqual(new Set(['personal-data']));
    expect(purposes('keys')).toEqual(new Set(['card-number']));
  });

  it('opens nothing with the credentials of the web tier, and shows its role no key', async () => {
    await expect(decryptStolenPair(shop, keyStore)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    const asWeb = new URL(shop.databases.web);
    asWeb.pathname = '/keys';
    await expectDenied(asWeb.href, '');
    await expectDenied(shop.databases.web, 'SELECT pan FROM cards');
  });

  it.each([
    ['web', "UPDATE public_key_lists SET list = 'x'"],
    [
      'web',
      "INSERT INTO public_key_lists VALUES ('card-number', 'x') ON CONFLICT (purpose) DO UPDATE SET list = 'x'",
    ],
    ['web', 'DELETE FROM public_key_lists'],
    ['payment', "UPDATE public_key_lists SET list = 'x'"],
    ['keys', 'DELETE FROM public_key_lists'],
    ['keys', 'SELECT pan FROM cards'],
    ['keys', 'SELECT name FROM customers'],
    ['keys', 'SELECT state FROM charges'],
  ] as const)('refuses the role of the %s tier: %s', async (tier, sql) => {
    const lists = keyStore.environment.keys.DATABASE_URL!;
    await expectDenied({ ...shop.databases, keys: lists }[tier], sql);
  });

  it.each([
    ['payment', "UPDATE fieldseal.data_keys SET state = 'SUSPENDED'"],
    ['payment', 'DELETE FROM fieldseal.key_wraps'],
    ['keys', 'DELETE FROM fieldseal.key_wraps'],
  ] as const)('refuses the role of the %s tier in the key store: %s', async (tier, sql) => {
    await expectDenied(keyStore.environment[tier].KEY_STORE_URL!, sql);
  });

  describe('whose key tier was killed with kill -9', () => {
    beforeAll(() => keys.stop('SIGKILL'));

    it('goes on selling', async () => {
      expect((await register(web.url)).status).toBe(200);
      await until(async () => expect((await charges()).at(-1)).toMatchObject({ state: 'charged' }));
    });

    it('sells under the list that it has, whatever stands in its place, and no longer than that is good for', async () => {
      const { publicKeys, text } = await publishedList();
      await putList(listOf(publicKeys, signer(), 8_000));
      const hasty = await shop.startWeb();
      await putList(listOf([ownPublicKey()], generateKeyPairSync('ed25519').privateKey, 3_600_000));
      await until(() =>
        expect(hasty.output()).toMatch(/refresh-failed.*ERR_KEY_LIST_REFUSED.*another signature/u),
      );
      expect((await register(hasty.url)).status).toBe(200);
      const [{ pan_key }] = await test.owner.query<[{ pan_key: string }]>(
        'SELECT pan_key FROM cards ORDER BY created_at DESC LIMIT 1',
      );
      expect(publicKeys.map(({ fingerprint }) => fingerprint)).toContain(pan_key);
      await until(async () => {
        const { status, body } = await register(hasty.url);
        expect(status).toBe(503);
        expect(body).toContain('nothing was stored');
      });
      await hasty.stop();
      expect(await failure(shop.startWeb())).toMatch(/ERR_KEY_LIST_REFUSED[^\n]*cannot start/u);
      await putList(text);
    });

    it('publishes a new list when it is started again, and by cron, and ends in order', async () => {
      const before = (await publishedList()).text;
      const next = await shop.startKeys({ PUBLISH_CRON: '* * * * * *' });
      const atStart = (await publishedList()).text;
      expect(atStart).not.toBe(before);
      await until(async () => expect((await publishedList()).text).not.toBe(atStart));
      await next.stop();
      expect(next.output()).not.toMatch(/did not stop in order|no list published/u);
      const again = await shop.startWeb();
      expect((await register(again.url)).status).toBe(200);
    });
  });
});

it('a connection that is lost while the list is read fails the reading and nothing else', async () => {
  const { url, cut, close } = await throughProxy(shop.databases.web);
  const lists = new PublicKeyLists(url);
  await test.owner.transaction(async (locking) => {
    await locking.query('LOCK TABLE public_key_lists');
    const lost = expect(lists.read('card-number')).rejects.toThrow();
    await until(async () => {
      // On another connection: a transaction sees the activity as it was when it first looked.
      const waiting = await test.owner.query<unknown[]>(
        "SELECT 1 FROM pg_stat_activity WHERE usename = 'shop_web' AND wait_event_type = 'Lock'",
      );
      expect(waiting).toHaveLength(1);
    });
    cut();
    await lost;
  });
  await close();
});

it('writes nothing of what was typed in, and no key, to any log', () => {
  expect(test.logs()).toContain('list published');
  const [, ...signingKey] = keyStore.environment.keys.LIST_SIGNING_KEY!.split('\n');
  expect(test.logged([...SECRETS, signingKey[0]!])).toEqual([]);
  expect(cvvIn(test.logs())).toBe(false);
});

/** Changes the fingerprint in a cell and beside it; a second time changes it back. */
async function nameAnotherPair(id: string): Promise<void> {
  await test.owner.query(
    `UPDATE cards SET pan = changed.pan, pan_key = encode(substring(changed.pan FROM 3 FOR 16), 'hex')::uuid
     FROM (SELECT set_byte(pan, 2, get_byte(pan, 2) # 1) AS pan FROM cards WHERE id = $1) AS changed WHERE id = $1`,
    [id],
  );
}

/** A way to the database whose connections can be cut, as a network does it. */
async function throughProxy(url: string) {
  const database = new URL(url);
  const { hostname, port } = database;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const upstream = connect(Number(port), hostname);
    for (const end of [socket, upstream]) end.on('error', () => undefined);
    socket.pipe(upstream).pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  database.port = String((server.address() as AddressInfo).port);
  return {
    url: database.href,
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: () => once(server.close(), 'close'),
  };
}

async function expectDenied(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  try {
    await expect(client.connect().then(() => client.query(sql))).rejects.toMatchObject({ code: '42501' });
  } finally {
    await client.end();
  }
}

interface Published {
  readonly text: string;
  readonly publicKeys: readonly PublicKey[];
}

async function publishedList(): Promise<Published> {
  const [{ list: text }] = await test.owner.query<[{ list: string }]>('SELECT list FROM public_key_lists');
  const { list } = JSON.parse(text) as { list: string };
  const { keys } = JSON.parse(Buffer.from(list, 'base64url').toString()) as { keys: { spki: string }[] };
  return { text, publicKeys: keys.map(({ spki }) => PublicKey.parse(Buffer.from(spki, 'base64url'), SCOPE)) };
}

const signer = (): KeyObject => createPrivateKey(keyStore.environment.keys.LIST_SIGNING_KEY!);

/** As the owner of the table. */
async function putList(list: string): Promise<void> {
  await test.owner.query('UPDATE public_key_lists SET list = $1', [list]);
}

function ownPublicKey(): PublicKey {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return PublicKey.parse(publicKey.export({ type: 'spki', format: 'der' }), SCOPE);
}

/** A list that is good from now on for so many ms. */
function listOf(publicKeys: readonly PublicKey[], signingKey: KeyObject, forMs: number): string {
  const now = Date.now();
  const notAfter = now + forMs;
  const keys = publicKeys.map((key) => ({ key, sealUntil: notAfter }));
  return signPublicKeys({ ...SCOPE, serial: now, notBefore: now - 60_000, notAfter, keys }, signingKey);
}
