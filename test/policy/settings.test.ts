/** What is refused of the exports `options` and `tiers`, and how it is said. */
import { describe, expect, it } from 'vitest';
import { createFieldSeal, type FieldSealOptions } from '../../src/keys/create-field-seal.js';
import type { FieldSealError } from '../../src/errors.js';
import type { KekProvider } from '../../src/keys/ports.js';
import { awsDocuments } from '../../src/policy/documents.js';
import { parseSettings } from '../../src/policy/settings.js';
import { kmsSource } from '../../src/service/kms-source.js';
import { thrown } from '../keys/seal-fixture.js';

const CARD = 'arn:aws:kms:eu-central-1:111122223333:key/card';
const MAC = 'arn:aws:kms:eu-central-1:111122223333:key/mac';
const role = (name: string): string => `arn:aws:iam::111122223333:role/${name}`;

const options = {
  application: 'shop',
  environment: 'production',
  purposes: { 'card-number': { delivery: 'envelope' } } as Record<string, object>,
};
const tiers = {
  keks: { 'card-number': [CARD] } as Record<string, readonly string[]>,
  principals: { web: role('web'), payment: role('payment'), administrators: role('admin') },
};
const principals = (changes: object) => ({ ...tiers, principals: { ...tiers.principals, ...changes } });
/** A KMS that only has to look like one. */
const neverCalled = Object.fromEntries(
  ['start', 'startWriteOnly', 'startReadOnly', 'generateEnvelope', 'unwrapEnvelope', 'close'].map((name) => [
    name,
    () => expect.fail(name),
  ]),
) as unknown as KekProvider;
const purpose = (settings: unknown) => ({ ...options, purposes: { 'card-number': settings } });

describe('the settings', () => {
  it.each<[string, unknown, unknown]>([
    ['options', undefined, tiers],
    ['tiers', options, undefined],
    ['options.application', { ...options, application: '' }, tiers],
    ['options.application', { ...options, application: 'a${aws:username}' }, tiers],
    ['options.environment', { ...options, environment: 7 }, tiers],
    ['options.purposes', { ...options, purposes: {} }, tiers],
    ['options.purposes', { ...options, purposes: { 'Card Number': {} } }, tiers],
    ['options.purposes.card-number.delivery', purpose({ delivery: 'envelop' }), tiers],
    ['options.purposes.card-number.delivery', purpose({ delivery: { pool: {}, sealed: {} } }), tiers],
    ['options.purposes.card-number.index', purpose({ index: 'remote' }), tiers],
    ['options.purposes.card-number.accept.deliveries', purpose({ accept: { deliveries: [] } }), tiers],
    [
      'options.purposes.card-number.accept.deliveries[0]',
      purpose({ accept: { deliveries: ['post'] } }),
      tiers,
    ],
    ['options.purposes.card-number.index.source', purpose({ index: { source: 'remote' } }), tiers],
    ['tiers.keks.card-number', options, { ...tiers, keks: {} }],
    ['tiers.keks.card-number', options, { ...tiers, keks: { 'card-number': [] } }],
    ['tiers.keks.card-number[0]', options, { ...tiers, keks: { 'card-number': ['alias/card'] } }],
    ['tiers.keks', options, { ...tiers, keks: { ...tiers.keks, other: [CARD] } }],
    ['tiers.macKeys.card-number', options, { ...tiers, macKeys: { 'card-number': MAC } }],
    ['tiers.macKeys.card-number', purpose({ index: 'kms' }), tiers],
    [
      'tiers.macKeys.card-number: expected the ARN of a MAC key for version 2',
      purpose({ index: { source: 'kms', versions: [2, 1] } }),
      { ...tiers, macKeys: { 'card-number': MAC } },
    ],
    [
      'tiers.macKeys.reports: expected a key of its own',
      { ...options, purposes: { ...options.purposes, reports: {} } },
      { ...tiers, macKeys: { 'card-number': MAC, reports: MAC } },
    ],
    [
      'tiers.macKeys.card-number: expected an HMAC_256 key, which is no KEK',
      purpose({ index: 'kms' }),
      { ...tiers, macKeys: { 'card-number': CARD } },
    ],
    [
      "tiers.keks: expected purposes of options.purposes (did you mean 'card-number'?), got 'card-numbr'",
      options,
      { ...tiers, keks: { ...tiers.keks, 'card-numbr': [CARD] } },
    ],
    [
      'tiers.macKeys.card-number.2',
      purpose({ index: 'kms' }),
      { ...tiers, macKeys: { 'card-number': { 1: MAC, 2: 'alias/mac' } } },
    ],
    ['tiers.principals.web', options, principals({ web: '*' })],
    ['tiers.principals.web[0]', options, principals({ web: ['arn:aws:iam::111122223333:root'] })],
    ['tiers.principals.web', options, principals({ web: role('payment') })],
    ['tiers.principals.web', options, principals({ app: role('web') })],
    ['tiers.principals.administrators', options, principals({ keyService: [role('k'), role('admin')] })],
    ['tiers.database.schema', options, { ...tiers, database: { roles: {}, schema: 'Keys' } }],
    ['tiers.database.roles.web', options, { ...tiers, database: { roles: { web: '' } } }],
    ['tiers.kek', options, { ...tiers, kek: {} }],
  ])('without a usable %s are refused', (path, given, givenTiers) => {
    const parse = () => parseSettings(given, givenTiers);
    expect(parse).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_OPTION' }) as Error);
    expect(parse).toThrow(path);
  });

  it('ignore what is for createFieldSeal alone, and run none of it', () => {
    const keys = new Proxy(
      {},
      {
        get: () => {
          throw new Error('read');
        },
      },
    );
    const onEvent = () => {
      throw new Error('run');
    };
    expect(parseSettings({ ...options, keys, onEvent }, tiers).purposes).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['a pool with settings of a delivery', purpose({ delivery: { pool: {} } })],
    ['a delivery without a name', purpose({ delivery: {} })],
    ['an unknown setting of a delivery', purpose({ delivery: { envelope: { reuze: 1 } } })],
    ['half a reuse', purpose({ delivery: { envelope: { reuse: { cells: 9 } } } })],
    ['an unknown suite', purpose({ suite: 'aes-512' })],
    ['an unknown setting', purpose({ delivry: 'envelope' })],
    ['a lifetime that outlives its keys', purpose({ pool: { lifetime: '40d' } })],
    ['a version twice', purpose({ index: { versions: [1, 1] } })],
    ['accepted deliveries without its own', purpose({ accept: { deliveries: ['envelope'] } })],
    ['accepted suites without its own', purpose({ accept: { suites: ['xaes-256-gcm'] } })],
    ['a store key that is none', purpose({ storeKey: 'key' })],
    ['a purpose that is null', purpose(null)],
    ['a name with a control character', { ...options, application: 'sh\u0000p' }],
    ['an unknown option', { ...options, purpose: {} }],
    ['an unknown access', { ...options, access: 'write' }],
    ['an event handler that is none', { ...options, onEvent: 7 }],
    ['pools where nothing is read', { ...purpose({}), access: 'write-only' }],
  ])('with %s are refused as createFieldSeal refuses them', async (_what, given) => {
    const keys = kmsSource({ kms: neverCalled });
    const refusal = createFieldSeal({ ...given, keys } as FieldSealOptions);
    const { code, message } = await refusal.then(
      () => expect.fail('createFieldSeal takes it'),
      (error: unknown) => error as FieldSealError,
    );
    expect(code).toMatch(/^ERR_CONFIG_/u);
    expect(thrown(() => parseSettings(given, tiers), code).message).toBe(`options.${message}`);
  });

  it('with one KEK alone are refused where the purpose asks for a spread', () => {
    thrown(() => parseSettings(purpose({ requireKekSpread: true }), tiers), 'ERR_CONFIG_KEK_SPREAD');
    const two = { ...tiers, keks: { 'card-number': [CARD, `${CARD}-b`] } };
    expect(parseSettings(purpose({ requireKekSpread: true }), two).purposes).toHaveLength(1);
  });

  it.each<[unknown, string, string, readonly string[]]>([
    [{}, 'pool', 'local', ['data', 'index', 'store']],
    [{ index: { versions: [2, 1] } }, 'pool', 'local', ['data', 'index', 'store']],
    [{ delivery: 'envelope' }, 'envelope', 'none', []],
    [
      { delivery: { envelope: { reuse: { cells: 9, for: '1m' } } }, index: 'later' },
      'envelope',
      'later',
      ['index', 'store'],
    ],
    [{ delivery: { sealed: {} } }, 'sealed', 'local', ['index', 'pair', 'store']],
  ])('of a purpose %j mean delivery %s, index %s, keys %j', (settings, delivery, index, stored) => {
    expect(parseSettings(purpose(settings), tiers).purposes[0]).toMatchObject({ delivery, index, stored });
  });
});

describe('the documents', () => {
  it('need a principal for each tier that has something to do', () => {
    const without = parseSettings(options, principals({ web: undefined }));
    expect(() => awsDocuments(without)).toThrow(/^tiers\.principals\.web: expected the ARN/);
    const pool = parseSettings(purpose({}), principals({ rewrap: role('rewrap') }));
    expect(() => awsDocuments(pool)).toThrow(/^tiers\.principals\.keyService: /);
  });

  it('need none for the tiers that one app stands for, and none for app itself', () => {
    const alone = { app: role('app'), web: undefined, payment: undefined };
    const { identityPolicies } = awsDocuments(parseSettings(purpose({}), principals(alone)));
    expect([...identityPolicies.keys()]).toEqual(['app', 'administrators']);
    const beside = awsDocuments(parseSettings(options, principals({ app: role('app') })));
    expect([...beside.identityPolicies.keys()]).toEqual(['app', 'web', 'payment', 'administrators']);
  });

  it.each(['app', 'rewrap'] as const)('of the tier %s alone need its principal', (tier) => {
    expect(() => awsDocuments(parseSettings(options, tiers), tier)).toThrow(`tiers.principals.${tier}: `);
  });

  it('give nobody the rights to rewrap where no principal does it', () => {
    const { keyPolicies, identityPolicies } = awsDocuments(
      parseSettings(purpose({}), principals({ rewrap: undefined, keyService: role('keys') })),
    );
    expect([...identityPolicies.keys()]).toEqual(['payment', 'key-service', 'administrators']);
    expect(JSON.stringify([...keyPolicies])).not.toContain('ReEncrypt');
  });

  it('name the MAC keys of the versions that are in use, and no others', () => {
    const other = MAC.replace('key/', 'key/other-');
    const { keyPolicies } = awsDocuments(
      parseSettings(purpose({ delivery: 'envelope', index: { source: 'kms', versions: [2] } }), {
        ...tiers,
        macKeys: { 'card-number': { 1: other, 2: MAC } },
      }),
    );
    expect([...keyPolicies.keys()]).toEqual([CARD, MAC]);
  });

  it('leave out a tier without rights', () => {
    const { identityPolicies, keyPolicies } = awsDocuments(parseSettings(options, tiers));
    expect([...identityPolicies.keys()]).toEqual(['web', 'payment', 'administrators']);
    expect([...keyPolicies.keys()]).toEqual([CARD]);
  });

  it('refuse two purposes that would share the names of statements', () => {
    const twins = { ...options, purposes: { 'a-1': {}, a1: {} } };
    const settings = parseSettings(twins, { ...tiers, keks: { 'a-1': [CARD], a1: [CARD] } });
    expect(() => awsDocuments(settings)).toThrow(/^options\.purposes: .* a-1 and a1\.$/);
  });

  it('keep the purposes of a shared KEK apart', () => {
    const two = { ...options, purposes: { ...options.purposes, reports: { delivery: 'envelope' } } };
    const settings = parseSettings(two, { ...tiers, keks: { ...tiers.keks, reports: [CARD] } });
    const { Statement } = awsDocuments(settings).keyPolicies.get(CARD)!;
    const purposes = Statement.flatMap(
      ({ Condition }) => Condition?.StringEquals?.['kms:EncryptionContext:purpose'] ?? [],
    );
    expect(purposes).toEqual(['card-number', 'reports', 'card-number', 'reports']);
  });
});
