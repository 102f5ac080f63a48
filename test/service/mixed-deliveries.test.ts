/**
 * A purpose of sealed delivery beside one of envelope delivery, with the rights that `fieldseal policy` prints for each
 * tier: nothing of the envelopes is in the key store, and one field seal writes both, another one reads both. The KMS makes
 * the indexes of sealed values.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { DescribeKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  createFieldSeal,
  keyStoreSource,
  publicKeySource,
  type FieldSeal,
  type FieldSealOptions,
  type PurposeOptions,
} from '../../src/index.js';
import { isPendingIndex } from '../../src/keys/field-seal.js';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { awsDocuments } from '../../src/policy/documents.js';
import { grants } from '../../src/policy/grants.js';
import { parseSettings } from '../../src/policy/settings.js';
import { recordKey } from '../canary.js';
import { rejection, thrown } from '../keys/seal-fixture.js';
import { newMacKey } from '../kms/mac-key.js';
import { SCOPE } from './fixture.js';
import { TestKeyStore } from './key-store-fixture.js';

const { application, environment } = SCOPE;
const CARDS = {
  'card-number': { delivery: 'sealed', index: 'kms', pool: { validKeys: 2, futureKeys: 1 } },
} as const;
const PEOPLE = { 'personal-data': { delivery: 'envelope' } } as const;
const BOTH = { ...CARDS, ...PEOPLE };
const KEKS = { 'card-number': ['alias/card-a', 'alias/card-b'], 'personal-data': ['alias/pii'] };
const PRINCIPALS = ['web', 'payment', 'keys', 'administrator', 'setup'] as const;

const EVERYTHING = { Effect: 'Allow', Action: 'kms:*', Resource: '*' } as const;
const signer = generateKeyPairSync('ed25519');
const suffix = randomBytes(4).toString('hex');
const roles = { payment: `payment_${suffix}`, keyService: `keys_${suffix}` };

let emulator: KmsEmulator;
let keyStore: TestKeyStore;
let macKeys: Readonly<Record<string, string>>;
/** The KEKs by ARN: who may only Decrypt cannot ask which key an alias stands for. */
let arns: Readonly<Record<keyof typeof KEKS, readonly string[]>>;
const seals: FieldSeal[] = [];

beforeAll(async () => {
  emulator = await startKmsEmulator({
    createKeys: Object.values(KEKS).flat(),
    unsafeOnPlaintext: recordKey,
    policy: {
      principals: PRINCIPALS.map((name, i) => ({
        ...{ name, accessKeyId: `MIXEDDELIVERIES${i}`, secretAccessKey: 'a-secret-of-the-tests-only' },
        policy: { Statement: name === 'setup' ? [EVERYTHING] : [] },
      })),
    },
  });
  keyStore = await TestKeyStore.create();
  macKeys = { 'card-number': await newMacKey(emulator, 'HMAC_256', 'setup') };
  await putPrintedRights();
});
afterEach(async () => {
  for (const seal of seals.splice(0)) await seal.close();
});
afterAll(async () => {
  for (const role of Object.values(roles)) {
    await keyStore.database.query(`DROP OWNED BY ${role}`);
    await keyStore.database.query(`DROP ROLE ${role}`);
  }
  await keyStore.drop();
  await emulator.close();
});

/** As `fieldseal policy` prints them for both purposes. */
async function putPrintedRights(): Promise<void> {
  const { region, endpoint } = emulator;
  const client = new KMSClient({ region, endpoint, credentials: emulator.credentials('setup') });
  const arnOf = async (KeyId: string): Promise<string> =>
    (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.Arn!;
  arns = {
    'card-number': await Promise.all(KEKS['card-number'].map(arnOf)),
    'personal-data': await Promise.all(KEKS['personal-data'].map(arnOf)),
  };
  const user = (name: string): string => `arn:aws:iam::000000000000:user/${name}`;
  const settings = parseSettings(
    { application, environment, purposes: BOTH },
    {
      keks: arns,
      macKeys,
      principals: {
        ...{ web: user('web'), payment: user('payment'), keyService: user('keys') },
        administrators: user('setup'),
      },
      database: { roles },
    },
  );
  for (const role of Object.values(roles))
    await keyStore.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`);
  await keyStore.database.query(grants(settings, []).keyStore);
  for (const [KeyId, policy] of awsDocuments(settings).keyPolicies) {
    const Policy = JSON.stringify(policy);
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }));
  }
  client.destroy();
}

type Principal = (typeof PRINCIPALS)[number];

const kmsOf = (principal: Principal, keks: AwsKmsOptions['keks'] = KEKS) =>
  awsKms({
    ...{ region: emulator.region, endpoint: emulator.endpoint, keks, macKeys },
    credentials: emulator.credentials(principal),
  });

const storeOf = (role: string) => {
  const url = new URL(keyStore.database.url);
  [url.username, url.password] = [role, 'test'];
  return keyStore.store(url.href);
};

async function open(
  purposes: Readonly<Record<string, PurposeOptions>>,
  options: Pick<FieldSealOptions, 'keys'> & Partial<FieldSealOptions>,
): Promise<FieldSeal> {
  const seal = await createFieldSeal({ application, environment, purposes, ...options });
  seals.push(seal);
  return seal;
}

const keyService = () => keyStoreSource({ store: storeOf(roles.keyService), kms: kmsOf('keys') });
const reader = () =>
  keyStoreSource({ store: storeOf(roles.payment), kms: kmsOf('payment', arns), manage: false });

async function listOfCards(): Promise<string> {
  const keys = keyService();
  await open(CARDS, { keys });
  return keys.publicKeyList('card-number', signer.privateKey);
}

const writer = (list: string) =>
  publicKeySource({
    read: () => Promise.resolve(list),
    verificationKey: signer.publicKey,
    kms: kmsOf('web'),
  });

const storedKinds = async (): Promise<unknown[]> => {
  const rows = await keyStore.database.query('SELECT DISTINCT kind FROM fieldseal.data_keys ORDER BY kind');
  return rows.map(({ kind }) => kind);
};

const askedOf = (principal: Principal): Set<string> =>
  new Set(
    emulator
      .audit()
      .filter((entry) => entry.principal === principal && entry.error === null)
      .map(({ event }) => event),
  );

describe('a field seal with a purpose of sealed and one of envelope delivery', () => {
  it('writes both with a list of public keys and GenerateDataKey, and another one reads both', async () => {
    const write = await open(BOTH, { access: 'write-only', keys: writer(await listOfCards()) });
    const pan = await write.sealAsync('card-number', 'cards.pan', '4111111111111111');
    const before = write.stats().kmsCalls;
    const name = await write.sealAsync('personal-data', 'customers.name', 'Wanda');
    expect(write.stats().kmsCalls.GenerateDataKey! - before.GenerateDataKey!).toBe(1);
    expect(askedOf('web')).toEqual(new Set(['GenerateDataKey', 'GenerateMac']));
    const purposes = emulator
      .audit()
      .filter(({ principal, event }) => principal === 'web' && event === 'GenerateDataKey')
      .map(({ encryptionContext }) => encryptionContext?.purpose);
    expect(new Set(purposes)).toEqual(new Set(['personal-data']));

    const read = await open(BOTH, { access: 'read-only', keys: reader() });
    expect(await read.open('card-number', 'cards.pan', pan)).toBe('4111111111111111');
    expect(await read.open('personal-data', 'customers.name', name)).toBe('Wanda');
    expect(askedOf('payment')).toEqual(new Set(['Decrypt']));
  });

  it('has the indexes of sealed values made by the KMS, and finds none without one', async () => {
    const list = await listOfCards();
    const write = await open(BOTH, { access: 'write-only', keys: writer(list) });
    const column = write.column({
      ...{ purpose: 'card-number', entity: 'cards', field: 'pan', codec: 'string' },
      blindIndex: {},
    });
    const [index] = write.searchIndexes(column, '4111111111111111');
    if (!isPendingIndex(index)) throw new Error('expected an index that the KMS makes');
    expect(await index.make()).toHaveLength(16);
    expect(await storedKinds()).toEqual(['pair', 'store']);
    const alone = publicKeySource({
      read: () => Promise.resolve(list),
      verificationKey: signer.publicKey,
    });
    const refused = await rejection(open(CARDS, { access: 'write-only', keys: alone }), 'ERR_CONFIG_OPTION');
    expect(refused.message).toMatch(
      /^purposes\.card-number\.index: expected a key source whose KMS has MAC keys/u,
    );
  });

  it('declares no blind index of the envelopes, and says what to set', async () => {
    const read = await open(BOTH, { access: 'read-only', keys: reader() });
    const declare = () =>
      read.column({
        ...{ purpose: 'personal-data', entity: 'customers', field: 'email', codec: 'string' },
        blindIndex: {},
      });
    const error = thrown(declare, 'ERR_CONFIG_FIELD');
    expect(error.message).toContain("purposes.personal-data.index says 'local' or 'later'");
  });
});
