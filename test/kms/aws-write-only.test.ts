import { CreateKeyCommand, DescribeKeyCommand, DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import type { AwsKmsOptions } from '../../src/kms/aws.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { PolicyStatement } from '../../src/kms/emulator/policy-file.js';
import { after, CARD, CARD_KEKS, client, emulator, failure, optionsFor, policyWith, SCOPE } from './kms.js';

/** The whole policy of a web tier. */
const WEB: PolicyStatement = {
  Effect: 'Allow',
  Action: 'kms:GenerateDataKey',
  Resource: 'arn:aws:kms:*:000000000000:key/*',
  Condition: {
    StringEquals: {
      'kms:EncryptionContext:application': SCOPE.application,
      'kms:EncryptionContext:environment': SCOPE.environment,
      'kms:EncryptionContext:purpose': SCOPE.purpose,
      'kms:EncryptionContext:kind': 'data',
      'kms:EncryptionContext:delivery': 'envelope',
    },
    'ForAllValues:StringEquals': {
      'kms:EncryptionContextKeys': ['application', 'environment', 'purpose', 'kind', 'delivery'],
    },
  },
};

async function emulatorWith(statement: PolicyStatement = WEB, more: object = {}): Promise<KmsEmulator> {
  return emulator({ createKeys: CARD_KEKS, policy: policyWith({ web: [statement] }), ...more });
}

/** A provider of the principal `web`, started write-only. */
async function writer(kms: KmsEmulator, options: Partial<AwsKmsOptions> = {}, scope = SCOPE) {
  const aws = awsKms({ ...optionsFor(kms), credentials: kms.credentials('web'), ...options });
  after(() => aws.close());
  const events: FieldSealEvent[] = [];
  await aws.startWriteOnly([scope], (event) => events.push(event));
  return { aws, events };
}

async function arnOf(kms: KmsEmulator, name: string): Promise<string> {
  const { KeyMetadata } = await client(kms, 'admin').send(new DescribeKeyCommand({ KeyId: name }));
  return KeyMetadata?.Arn ?? '';
}

describe('a process with GenerateDataKey for its envelopes and no other right', () => {
  it('starts, resolves aliases, makes envelope keys, and asks for nothing else', async () => {
    const kms = await emulatorWith();
    const { aws, events } = await writer(kms);
    const asked = kms.audit();
    const [first = '', second = ''] = aws.keks(SCOPE.purpose);
    expect([first, second]).toEqual([await arnOf(kms, 'alias/card-a'), await arnOf(kms, 'alias/card-b')]);
    const { root, wrapped } = await aws.generateEnvelope(second, SCOPE);
    expect(asked.map(({ event, error }) => [event, error])).toEqual([
      ['GenerateDataKey', null],
      ['GenerateDataKey', null],
    ]);
    expect(aws.calls()).toEqual({ GenerateDataKey: 3 });
    expect(events).toEqual([]);

    const reader = awsKms({ ...optionsFor(kms), credentials: kms.credentials('admin') });
    after(() => reader.close());
    await reader.start([SCOPE.purpose], () => undefined);
    expect(await reader.unwrapEnvelope(second, wrapped, SCOPE)).toEqual(root);
  });

  it('takes ids, alias ARNs and key ARNs, each KEK once', async () => {
    const kms = await emulatorWith();
    const arn = await arnOf(kms, 'alias/card-a');
    const names = ['alias/card-a', arn, arn.split('/')[1] ?? '', arn.replace(/key\/.*/, 'alias/card-a')];
    const { aws } = await writer(kms, { keks: { [SCOPE.purpose]: names } });
    expect(aws.keks(SCOPE.purpose)).toEqual([arn]);
    expect(aws.calls()).toEqual({ GenerateDataKey: 4 });
  });

  it('never asks for a retired KEK', async () => {
    const kms = await emulatorWith();
    const { aws, events } = await writer(kms, { openKeks: { [SCOPE.purpose]: ['alias/gone'] } });
    expect(aws.openKeks(SCOPE.purpose)).toEqual([]);
    expect(events).toEqual([]);
  });

  it('does not start for another purpose, application or environment than its policy names', async () => {
    const kms = await emulatorWith();
    for (const other of [{ purpose: 'reports' }, { application: 'hub' }, { environment: 'production' }]) {
      const keks = { [CARD.purpose]: ['alias/card-a'], reports: ['alias/card-a'] };
      await failure('ERR_KMS_DENIED', writer(kms, { keks }, { ...SCOPE, ...other }));
    }
  });

  it('cannot start in full, which asks for DescribeKey', async () => {
    const kms = await emulatorWith();
    const full = awsKms({ ...optionsFor(kms), credentials: kms.credentials('web') });
    after(() => full.close());
    await failure(
      'ERR_KMS_DENIED',
      full.start([SCOPE.purpose], () => undefined),
    );
  });

  it('refuses to unwrap before any call', async () => {
    const kms = await emulatorWith();
    const { aws } = await writer(kms);
    const [kek = ''] = aws.keks(SCOPE.purpose);
    const { wrapped } = await aws.generateEnvelope(kek, SCOPE);
    const before = kms.audit().length;
    const error = await failure('ERR_KMS_WRITE_ONLY', aws.unwrapEnvelope(kek, wrapped, SCOPE));
    expect(error.retryable).toBe(false);
    await failure('ERR_KMS_WRITE_ONLY', aws.generate(kek, CARD));
    expect(kms.audit()).toHaveLength(before);
  });
});

describe('startWriteOnly', () => {
  it.each([
    ['invalid-state', 'ERR_KMS_KEK_UNUSABLE'],
    ['wrong-key', 'ERR_KMS_RESPONSE'],
    ['empty', 'ERR_KMS_RESPONSE'],
    ['short-plaintext', 'ERR_KMS_RESPONSE'],
    ['throttle', 'ERR_KMS_THROTTLED'],
    ['close', 'ERR_KMS_UNAVAILABLE'],
    ['hang', 'ERR_KMS_TIMEOUT'],
  ] as const)('fails under %s with %s, in time', async (fault, code) => {
    const kms = await emulatorWith();
    const keks = { [SCOPE.purpose]: [await arnOf(kms, 'alias/card-a')] };
    kms.faults.inject('GenerateDataKey', fault);
    const started = performance.now();
    const timeouts = { requestMs: 300, totalMs: 1_500 };
    await failure(code, writer(kms, { keks, attempts: 2, timeouts }));
    expect(performance.now() - started).toBeLessThan(3_500);
  });

  it('refuses a KEK that is disabled, missing, or no symmetric key', async () => {
    const kms = await emulatorWith();
    const admin = client(kms, 'admin');
    const hmac = new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const mac = (await admin.send(hmac)).KeyMetadata?.Arn ?? '';
    await admin.send(new DisableKeyCommand({ KeyId: await arnOf(kms, 'alias/card-b') }));
    for (const name of ['alias/card-b', 'alias/missing', mac]) {
      const keks = { [SCOPE.purpose]: [name] };
      const error = await failure('ERR_KMS_KEK_UNUSABLE', writer(kms, { keks }));
      expect(error.message).toContain(name);
    }
  });

  it('shows no key in the errors of spoilt answers', async () => {
    const seen: Buffer[] = [];
    const kms = await emulatorWith(WEB, { unsafeOnPlaintext: (bytes: Buffer) => seen.push(bytes) });
    kms.faults.inject('GenerateDataKey', 'garbage');
    const error = await failure('ERR_KMS_RESPONSE', writer(kms));
    expect(seen.length).toBeGreaterThan(0);
    for (const key of seen) expect(String(error.cause)).not.toContain(key.toString('base64').slice(0, 8));
  });
});
