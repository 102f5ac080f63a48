/**
 * The printed policies on a KMS that enforces them: each tier does its work, every single action is needed, and what a
 * tier must not do is denied.
 */
import {
  CreateKeyCommand,
  DisableKeyCommand,
  PutKeyPolicyCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { awsDocuments, type AwsDocuments, type PolicyDocument } from '../../src/policy/documents.js';
import { parseSettings, TIERS, type Tier } from '../../src/policy/settings.js';
import {
  dataKey,
  dataKeyWithoutPlaintext,
  decrypt,
  encrypt,
  generateMac,
  inCell,
  inStore,
  keyPair,
  reEncrypt,
  verifyMac,
  type Context,
} from './calls.js';
import { Account, clientOf, OPTIONS, SETUP, tiersOf } from './configuration.js';
import { makeWraps, WORK, type Place, type Wraps } from './work.js';

const DENIED = /AccessDenied|ERR_KMS_DENIED/u;

let account: Account;
let documents: AwsDocuments;
let wraps: Wraps;

beforeAll(async () => {
  account = await Account.open();
  documents = awsDocuments(parseSettings(OPTIONS, tiersOf(account.keys)));
  wraps = await makeWraps(clientOf(await account.kms({}), SETUP), account.keys);
});
afterAll(() => account.close());

/** How the documents come to the KMS: in the policies of the keys, or in those of principals under AWS's default. */
const MODES = {
  'key policies': ({ keyPolicies, identityPolicies }: AwsDocuments): Partial<AwsDocuments> => ({
    keyPolicies,
    // An alias has no policy of its own.
    identityPolicies: new Map(
      [...identityPolicies].map(([tier, policy]) => [tier, only(policy, 'AdministratorsAliases')]),
    ),
  }),
  'identity policies': ({ identityPolicies }: AwsDocuments): Partial<AwsDocuments> => ({ identityPolicies }),
};

const only = (policy: PolicyDocument, sid: string): PolicyDocument => ({
  ...policy,
  Statement: policy.Statement.filter(({ Sid }) => Sid === sid),
});

const place = (kms: KmsEmulator, tier: string): Place => ({
  kms,
  sdk: clientOf(kms, tier),
  keys: account.keys,
  wraps,
});

/** How the tier's work ends. */
async function outcome(given: Partial<AwsDocuments>, tier: Tier): Promise<string> {
  return nameOf(WORK[tier](place(await account.kms(given), tier), tier));
}

async function nameOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? (error as Error).name,
  );
}

type Attempt = (sdk: KMSClient, given: Pick<Place, 'keys' | 'wraps'>) => Promise<unknown>;

/** Every use of a key, with the context that its rightful user would send. */
const cryptography: Readonly<Record<string, Attempt>> = {
  Decrypt: (sdk, { wraps: { stored } }) => decrypt(sdk, stored[0]!),
  'Decrypt of a cell': (sdk, { wraps: { cells } }) => decrypt(sdk, cells[0]!),
  Encrypt: (sdk, { keys }) => encrypt(sdk, keys.reportsA, inStore('reports', 'data')),
  'Encrypt for a cell': (sdk, { keys }) => encrypt(sdk, keys.cardA, inCell('card-number')),
  ReEncrypt: (sdk, { keys, wraps: { stored } }) => reEncrypt(sdk, stored[0]!, keys.reportsB),
  'ReEncrypt of a cell': (sdk, { keys, wraps: { cells } }) => reEncrypt(sdk, cells[0]!, keys.cardB),
  GenerateDataKey: (sdk, { keys }) => dataKey(sdk, keys.reportsA, inStore('reports', 'data')),
  'GenerateDataKey for a cell': (sdk, { keys }) => dataKey(sdk, keys.cardA, inCell('card-number')),
  GenerateDataKeyWithoutPlaintext: (sdk, { keys }) =>
    dataKeyWithoutPlaintext(sdk, keys.cardA, inCell('card-number')),
  GenerateDataKeyPairWithoutPlaintext: (sdk, { keys }) =>
    keyPair(sdk, keys.personal, inStore('personal-data', 'pair')),
  GenerateMac: (sdk, { keys }) => generateMac(sdk, keys.mac),
  VerifyMac: (sdk, { keys }) => verifyMac(sdk, keys.mac),
};

const management: readonly (readonly [string, Attempt])[] = [
  ['PutKeyPolicy', (sdk, { keys }) => sdk.send(new PutKeyPolicyCommand({ KeyId: keys.cardA, Policy: '{}' }))],
  ['DisableKey', (sdk, { keys }) => sdk.send(new DisableKeyCommand({ KeyId: keys.reportsA }))],
];

const cryptographyBut = (...allowed: readonly string[]): readonly (readonly [string, Attempt])[] =>
  Object.entries(cryptography).filter(([name]) => !allowed.includes(name));

const { application, environment, kind, delivery } = inCell('card-number');
const withoutPurpose = { application, environment, kind, delivery } as Context;

const FORBIDDEN: Readonly<Record<Tier, readonly (readonly [string, Attempt])[]>> = {
  app: [
    ...cryptographyBut(
      'Decrypt',
      'Decrypt of a cell',
      'GenerateDataKey',
      'GenerateDataKey for a cell',
      'GenerateDataKeyPairWithoutPlaintext',
      'GenerateMac',
    ),
    ...management,
    [
      'GenerateDataKey for a cell of a purpose with a pool',
      (sdk, { keys }) => dataKey(sdk, keys.reportsA, inCell('reports')),
    ],
    [
      'GenerateDataKey under a retired KEK',
      (sdk, { keys }) => dataKey(sdk, keys.reportsOld, inStore('reports', 'data')),
    ],
  ],
  web: [
    ...cryptographyBut('GenerateDataKey for a cell', 'GenerateMac'),
    ...management,
    ...(
      [
        ['delivery pool', { delivery: 'pool' }],
        ['delivery sealed', { delivery: 'sealed' }],
        ['another purpose', { purpose: 'reports' }],
        ['kind index', { kind: 'index' }],
        ['kind store', { kind: 'store' }],
        ['another application', { application: 'hub' }],
        ['another environment', { environment: 'production' }],
        ['one more pair', { customer: '7' }],
        ['the pair of a key store', { wrapId: '5e3c1a52-7a34-4f0e-9a55-0d4a6f0f2b11' }],
      ] as const
    ).map(([what, changes]): readonly [string, Attempt] => [
      `GenerateDataKey with ${what}`,
      (sdk, { keys }) => dataKey(sdk, keys.cardA, inCell('card-number', changes)),
    ]),
    ['GenerateDataKey without a context', (sdk, { keys }) => dataKey(sdk, keys.cardA, {})],
    ['GenerateDataKey with a pair less', (sdk, { keys }) => dataKey(sdk, keys.cardA, withoutPurpose)],
    [
      'GenerateDataKey with a name in other case',
      (sdk, { keys }) => dataKey(sdk, keys.cardA, { ...withoutPurpose, Purpose: 'card-number' }),
    ],
    [
      'GenerateDataKey under the KEK of a sealed purpose',
      (sdk, { keys }) => dataKey(sdk, keys.personal, inCell('personal-data')),
    ],
    [
      'GenerateDataKeyPairWithoutPlaintext under its own KEK',
      (sdk, { keys }) => keyPair(sdk, keys.cardA, inCell('card-number')),
    ],
    ['GenerateMac with another algorithm', (sdk, { keys }) => generateMac(sdk, keys.mac, 'HMAC_SHA_512')],
  ],
  payment: [...cryptographyBut('Decrypt', 'Decrypt of a cell'), ...management],
  'key-service': [
    ...cryptographyBut('Decrypt', 'GenerateDataKey', 'GenerateDataKeyPairWithoutPlaintext'),
    ...management,
    [
      'GenerateDataKey for a cell under its own KEK',
      (sdk, { keys }) => dataKey(sdk, keys.reportsA, inCell('reports')),
    ],
    [
      'GenerateDataKeyPairWithoutPlaintext for a purpose without pairs',
      (sdk, { keys }) => keyPair(sdk, keys.reportsA, inStore('reports', 'pair')),
    ],
    [
      'GenerateDataKey under a retired KEK',
      (sdk, { keys }) => dataKey(sdk, keys.reportsOld, inStore('reports', 'data')),
    ],
  ],
  rewrap: [
    ...cryptographyBut('ReEncrypt'),
    ...management,
    [
      'ReEncrypt to a foreign KEK',
      (sdk, { keys, wraps: { stored } }) => reEncrypt(sdk, stored[0]!, keys.foreign),
    ],
    [
      'ReEncrypt to a retired KEK',
      (sdk, { keys, wraps: { stored } }) => reEncrypt(sdk, stored[0]!, keys.reportsOld),
    ],
    [
      'ReEncrypt to the KEK of another purpose',
      (sdk, { keys, wraps: { stored } }) =>
        reEncrypt(sdk, stored[0]!, keys.personal, inStore('personal-data', 'index')),
    ],
    [
      'ReEncrypt of a stored key into a cell',
      (sdk, { keys, wraps: { stored } }) => reEncrypt(sdk, stored[0]!, keys.reportsB, inCell('reports')),
    ],
  ],
  administrators: cryptographyBut(),
};

describe.each(Object.entries(MODES))('the printed documents as %s', (_mode, given) => {
  it.each(TIERS)('let the tier %s do its work', async (tier) => {
    expect(await outcome(given(documents), tier)).toBe('done');
  });

  it.each(TIERS)('have no action that the tier %s could do without', async (tier) => {
    const smaller = variants(given(documents), tier);
    expect(smaller.length).toBeGreaterThanOrEqual(2);
    for (const { removed, left } of smaller) {
      expect(await outcome(left, tier), `without ${removed}`).toMatch(DENIED);
    }
  });

  describe('deny', () => {
    let kms: KmsEmulator;
    beforeAll(async () => (kms = await account.kms(given(documents))));

    it.each(
      Object.entries(FORBIDDEN).flatMap(([tier, calls]) =>
        calls.map(([name, call]) => [tier, name, call] as const),
      ),
    )('the tier %s: %s', async (tier, _name, call) => {
      const here = place(kms, tier);
      expect(await nameOf(call(here.sdk, here))).toBe('AccessDeniedException');
    });
  });
});

it('key policies as printed keep out whoever may do everything in the account', async () => {
  const { sdk, keys } = place(await account.kms(documents), SETUP);
  for (const call of Object.values(cryptography)) {
    expect(await nameOf(call(sdk, { keys, wraps }))).toBe('AccessDeniedException');
  }
  expect(await nameOf(sdk.send(new CreateKeyCommand({})))).toBe('done');
});

it('actions are exact, and resources of identity policies are named', () => {
  const { keyPolicies, identityPolicies } = documents;
  for (const { Statement } of [...keyPolicies.values(), ...identityPolicies.values()]) {
    expect(new Set(Statement.map(({ Sid }) => Sid)).size).toBe(Statement.length);
    for (const { Sid, Action } of Statement) {
      expect(Sid).toMatch(/^[A-Za-z0-9]+$/);
      for (const action of [Action].flat()) expect(action).toMatch(/^kms:[A-Za-z]+$/);
    }
  }
  const resources = [...identityPolicies.values()].flatMap(({ Statement }) =>
    Statement.flatMap(({ Resource }) => Resource),
  );
  expect(resources.filter((arn) => arn.includes('*'))).toEqual([
    expect.stringMatching(/^arn:aws:kms:eu-central-1:\d{12}:alias\/\*$/),
  ]);
});

it('no document names a key of nobody here, and a sealed purpose gives the web tier nothing', () => {
  const text = JSON.stringify([...documents.keyPolicies, ...documents.identityPolicies]);
  expect(text).not.toContain(account.keys.foreign);
  const ofSealed = documents.keyPolicies.get(account.keys.personal)!.Statement;
  expect(ofSealed.map(({ Principal }) => Principal?.AWS)).not.toContain('arn:aws:iam::000000000000:user/web');
});

/** The documents less one action each, wherever the tier has one. */
function variants(given: Partial<AwsDocuments>, tier: Tier) {
  const principal = `arn:aws:iam::000000000000:user/${tier}`;
  // What administrators do with one KEK they do with all.
  const { cardA, mac } = account.keys;
  const tried = [...(given.keyPolicies ?? [])].filter(
    ([arn]) => tier !== 'administrators' || arn === cardA || arn === mac,
  );
  const ofKeys = tried.flatMap(([arn, policy]) =>
    without(policy, ({ Principal }) => Principal?.AWS === principal).map(({ removed, left }) => ({
      removed: `${removed} on ${arn}`,
      left: { ...given, keyPolicies: new Map(given.keyPolicies).set(arn, left) },
    })),
  );
  const own = given.identityPolicies?.get(tier);
  const ofPrincipal = own === undefined ? [] : without(own, () => true);
  return [
    ...ofKeys,
    ...ofPrincipal.map(({ removed, left }) => ({
      removed,
      left: { ...given, identityPolicies: new Map(given.identityPolicies).set(tier, left) },
    })),
  ];
}

type Statement = PolicyDocument['Statement'][number];

function without(policy: PolicyDocument, concerns: (statement: Statement) => boolean) {
  return policy.Statement.filter(concerns).flatMap((statement) =>
    [statement.Action].flat().map((action) => ({
      removed: `${statement.Sid}: ${action}`,
      left: {
        ...policy,
        Statement: policy.Statement.flatMap((one) => {
          if (one !== statement) return [one];
          const Action = [one.Action].flat().filter((other) => other !== action);
          return Action.length === 0 ? [] : [{ ...one, Action }];
        }),
      },
    })),
  );
}

it('lets a purpose that changed its delivery open what it sealed before, and make no more of it', async () => {
  const purposes = {
    reports: { delivery: 'envelope', accept: { deliveries: ['envelope', 'pool', 'sealed'] } },
  } as const;
  const { keks, openKeks, ...tiers } = tiersOf(account.keys);
  const settings = parseSettings(
    { ...OPTIONS, purposes },
    { ...tiers, keks: { reports: keks.reports }, openKeks, macKeys: {} },
  );
  const setup = clientOf(await account.kms({}), SETUP);
  const { reportsA } = account.keys;
  const before = [
    await dataKey(setup, reportsA, inCell('reports')),
    await dataKey(setup, reportsA, inStore('reports', 'data')),
    await keyPair(setup, reportsA, inStore('reports', 'pair', { delivery: 'sealed' })),
  ];
  const kms = await account.kms(awsDocuments(settings));
  for (const wrap of before) expect(await nameOf(decrypt(clientOf(kms, 'payment'), wrap))).toBe('done');
  const service = clientOf(kms, 'key-service');
  expect(await nameOf(dataKey(service, reportsA, inStore('reports', 'store')))).toBe('done');
  for (const made of [
    dataKey(service, reportsA, inStore('reports', 'data')),
    keyPair(service, reportsA, inStore('reports', 'pair', { delivery: 'sealed' })),
  ])
    expect(await nameOf(made)).toBe('AccessDeniedException');
});

it('gives tiers without a key store Decrypt to read and GenerateDataKey to write, and nothing besides', () => {
  const settings = parseSettings(
    { ...OPTIONS, purposes: { 'card-number': { delivery: 'envelope' } } },
    { ...tiersOf(account.keys), keks: { 'card-number': [account.keys.cardA] }, openKeks: {}, macKeys: {} },
  );
  const { identityPolicies } = awsDocuments(settings);
  const actionsOf = (tier: Tier) => identityPolicies.get(tier)?.Statement.map(({ Action }) => Action);
  expect(actionsOf('payment')).toEqual(['kms:Decrypt']);
  expect(actionsOf('web')).toEqual(['kms:GenerateDataKey']);
});

it('gives one process with a KMS alone what it needs to write, to read, and to start', () => {
  const { app, administrators } = tiersOf(account.keys).principals;
  const settings = parseSettings(
    { ...OPTIONS, purposes: { 'card-number': { delivery: 'envelope' } } },
    { keks: { 'card-number': [account.keys.cardA] }, principals: { app, administrators } },
  );
  const { identityPolicies, keyPolicies } = awsDocuments(settings);
  expect([...identityPolicies.keys()]).toEqual(['app', 'administrators']);
  const actions = identityPolicies.get('app')!.Statement.map(({ Action }) => Action);
  expect(actions).toEqual(['kms:DescribeKey', 'kms:GenerateDataKey', 'kms:Decrypt']);
  const { Statement } = keyPolicies.get(account.keys.cardA)!;
  expect(new Set(Statement.map(({ Principal }) => Principal?.AWS))).toEqual(new Set([app, administrators]));
});
