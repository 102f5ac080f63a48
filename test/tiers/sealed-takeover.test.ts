/**
 * A web process with public keys, an INSERT right and nothing else writes 1,000 rows and is then taken over: its
 * configuration, its database role and every object that is reachable in it open nothing.
 */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFieldSeal, keyStoreSource, publicKeySource, type FieldSealOptions } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import { TestKeyStore } from '../service/key-store-fixture.js';
import { holderOf, panOf } from './card.js';
import { openTiers, purposesOf, type Principal, type Purposes, type Tiers } from './fixture.js';
import {
  cellsOf,
  expectDenied,
  expectReadsNothing,
  readAll,
  webScript,
  WebTier,
  type WebScript,
} from './takeover.js';
import type { WebKeys } from './web-process.js';

const ROWS = 1_000;
const PURPOSES = purposesOf('sealed');

const signer = generateKeyPairSync('ed25519');

let script: WebScript;
let tiers: Tiers;
let keyStore: TestKeyStore;
let web: WebTier | undefined;

beforeAll(async () => {
  script = await webScript();
});
afterAll(() => {
  script.remove();
});

/** All that the web process is given besides its database role. */
const webKeys = (): WebKeys => ({
  lists: script.folder,
  verificationKey: signer.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
});

const sourceWith = (principal: Principal, manage: boolean) =>
  keyStoreSource({ store: keyStore.store(), kms: awsKms(tiers.kmsOptions(principal)), manage });

function sealWith(options: Pick<FieldSealOptions, 'keys'> & Partial<FieldSealOptions>) {
  return createFieldSeal({ application: 'shop', environment: 'test', purposes: PURPOSES, ...options });
}

/** The key service makes the pairs, and puts the signed lists where the web tier reads them. */
async function publishLists(purposes: Purposes): Promise<void> {
  const keys = sourceWith('key-service', true);
  const seal = await sealWith({ keys, purposes });
  for (const purpose of Object.keys(purposes))
    writeFileSync(join(script.folder, purpose), await keys.publicKeyList(purpose, signer.privateKey));
  await seal.close();
}

/** Before and after all tests of a description: they only look at what was written. */
function writesRows(purposes = PURPOSES): void {
  beforeAll(async () => {
    [tiers, keyStore] = await Promise.all([openTiers(), TestKeyStore.create()]);
    await publishLists(purposes);
    web = await WebTier.start(script, tiers, { keys: webKeys(), purposes });
    await web.write(ROWS);
  });
  afterAll(async () => {
    await web?.end();
    web = undefined;
    await tiers.close();
    await keyStore.drop();
  });
}

async function expectPaymentReadsAll(purposes = PURPOSES): Promise<void> {
  const keys = sourceWith('sealed-payment', false);
  const cards = await readAll(tiers, await sealWith({ keys, purposes, access: 'read-only' }));
  expect(cards.map(({ pan, holder }) => [pan, holder])).toEqual(
    Array.from({ length: ROWS }, (_, serial) => [panOf(serial), holderOf(serial)]),
  );
}

describe('a web process with public keys that gives each record a session key of its own', () => {
  writesRows();

  it('writes what the payment tier reads, and asks the KMS for nothing', async () => {
    await expectPaymentReadsAll();
    const principals = new Set(tiers.kms.audit().map(({ principal }) => principal));
    expect(principals).toEqual(new Set(['key-service', 'sealed-payment']));
    const headers = (await cellsOf(tiers)).map(({ cell }) =>
      Buffer.from(cell, 'base64').subarray(18, 131).toString('hex'),
    );
    expect(new Set(headers)).toHaveLength(2 * ROWS);
  });

  it('holds no key and no value when it is taken over', async () => {
    await web!.expectNothingInMemory(ROWS);
    expect(await web!.openWithReachableKeys()).toEqual({ keys: 0, privateKeys: 0, serials: [] });
  });

  it('has a configuration without a credential, from which nothing that reads can be made', async () => {
    expect(Object.keys(webKeys())).toEqual(['lists', 'verificationKey']);
    const { verificationKey } = webKeys() as Extract<WebKeys, { lists: string }>;
    for (const access of ['read-write', 'read-only'] as const) {
      const keys = publicKeySource({ read: () => Promise.resolve(''), verificationKey });
      await expect(sealWith({ keys, access })).rejects.toMatchObject({ code: 'ERR_CONFIG_OPTION' });
    }
  });

  it('has a database role that reads neither rows nor keys', async () => {
    await expectReadsNothing(tiers);
    const asWeb = new URL(keyStore.database.url);
    ({ username: asWeb.username, password: asWeb.password } = new URL(tiers.web.url));
    await expectDenied(asWeb.href, [
      'SELECT * FROM fieldseal.key_wraps',
      'SELECT * FROM fieldseal.data_keys',
    ]);
  });
});

describe('a web process with public keys that reuses a session key for a window', () => {
  const purposes = purposesOf({ sealed: { reuse: { cells: 100, for: '1h' } } });

  writesRows(purposes);

  it('opens no row that is older than the window when it is taken over', async () => {
    await web!.expectNothingInMemory(ROWS);
    const { keys, privateKeys, serials } = await web!.openWithReachableKeys();
    expect([keys, privateKeys]).toEqual([2, 0]);
    expect(serials).toEqual(Array.from({ length: 100 }, (_, i) => ROWS - 100 + i));
    await expectPaymentReadsAll(purposes);
  });
});
