import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import type { AwsKmsOptions } from '../../src/kms/aws.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { Fault } from '../../src/kms/emulator/faults.js';
import type { PolicyStatement } from '../../src/kms/emulator/policy-file.js';
import { after, CARD_KEKS, emulator, failure, optionsFor, policyWith, SCOPE } from './kms.js';

const allow = (Action: string, Condition?: PolicyStatement['Condition']): PolicyStatement => ({
  Effect: 'Allow',
  Action,
  Resource: '*',
  ...(Condition === undefined ? {} : { Condition }),
});

/** An emulator whose principal `web` may make data keys and do this. */
function emulatorWith(...statements: PolicyStatement[]): Promise<KmsEmulator> {
  const web = [allow('kms:GenerateDataKey'), ...statements];
  return emulator({ createKeys: CARD_KEKS, policy: policyWith({ web }) });
}

async function writer(kms: KmsEmulator, options: Partial<AwsKmsOptions> = {}) {
  const aws = awsKms({ ...optionsFor(kms), credentials: kms.credentials('web'), ...options });
  after(() => aws.close());
  const events: FieldSealEvent[] = [];
  await aws.startWriteOnly([SCOPE], (event) => events.push(event));
  return { aws, events, keks: aws.keks(SCOPE.purpose) };
}

describe('notDenied', () => {
  it('is empty for a process with GenerateDataKey alone, and its denials are no alarm', async () => {
    const kms = await emulatorWith();
    const { aws, events } = await writer(kms);
    expect(await aws.notDenied(SCOPE)).toEqual([]);
    expect(events).toEqual([]);
    expect(aws.calls()).toEqual({ GenerateDataKey: 4, Decrypt: 2, ReEncrypt: 2 });
    const questions = kms.audit().filter(({ event }) => event !== 'GenerateDataKey');
    expect(questions.map(({ error }) => error)).toEqual(Array(4).fill('AccessDeniedException'));
    for (const { encryptionContext } of questions) {
      expect(encryptionContext).toEqual({ ...SCOPE, kind: 'data', delivery: 'envelope' });
    }
  });

  it('lists Decrypt under each KEK for a process that may decrypt', async () => {
    const { aws, keks } = await writer(await emulatorWith(allow('kms:Decrypt')));
    expect(await aws.notDenied(SCOPE)).toEqual(
      keks.map((kek) => ({ kek, operation: 'Decrypt', answer: 'allowed' })),
    );
  });

  it('lists Decrypt that is allowed for envelopes alone, and not Decrypt for pools alone', async () => {
    const of = (delivery: string) =>
      emulatorWith(allow('kms:Decrypt', { StringEquals: { 'kms:EncryptionContext:delivery': delivery } }));
    expect(await (await writer(await of('envelope'))).aws.notDenied(SCOPE)).toHaveLength(2);
    expect(await (await writer(await of('pool'))).aws.notDenied(SCOPE)).toEqual([]);
  });

  it('lists ReEncrypt for a process that may move wraps to the same KEK', async () => {
    const { aws, keks } = await writer(await emulatorWith(allow('kms:ReEncrypt*')));
    expect(await aws.notDenied(SCOPE)).toEqual(
      keks.map((kek) => ({ kek, operation: 'ReEncrypt', answer: 'allowed' })),
    );
  });

  it('lists both, in this order, for a process that may do everything', async () => {
    const { aws, keks } = await writer(await emulatorWith(allow('kms:*')));
    expect(await aws.notDenied(SCOPE)).toEqual(
      keks.flatMap((kek) => [
        { kek, operation: 'Decrypt', answer: 'allowed' },
        { kek, operation: 'ReEncrypt', answer: 'allowed' },
      ]),
    );
  });

  it('names the one KEK that left the question open', async () => {
    const kms = await emulatorWith();
    const { aws, keks } = await writer(kms);
    const [, second = ''] = keks;
    kms.faults.inject('Decrypt', 'invalid-state', { keyArn: second });
    expect(await aws.notDenied(SCOPE)).toEqual([
      { kek: second, operation: 'Decrypt', answer: 'KMSInvalidStateException' },
    ]);
  });

  it.each([
    ['throttle', 'ThrottlingException', 3],
    ['internal', 'KMSInternalException', 3],
    ['close', 'ECONNRESET', 3],
    ['hang', 'TimeoutError', 3],
    ['invalid-ciphertext', 'InvalidCiphertextException', 1],
    ['proxy-error', 'SyntaxError', 3],
  ] as const)('lists an answer under %s as %s, after its retries, and alarms of nothing', async (...row) => {
    const [fault, answer, calls] = row;
    const kms = await emulatorWith();
    const { aws, events, keks } = await writer(kms, {
      keks: { [SCOPE.purpose]: ['alias/card-a'] },
      attempts: 3,
      timeouts: { requestMs: 300, totalMs: 1_500 },
    });
    kms.faults.inject('Decrypt', fault);
    expect(await aws.notDenied(SCOPE)).toEqual([{ kek: keks[0], operation: 'Decrypt', answer }]);
    expect(aws.calls()).toMatchObject({ Decrypt: calls, ReEncrypt: 1 });
    expect(events).toEqual([]);
  });

  it('passes over a fault that goes by', async () => {
    const kms = await emulatorWith();
    const { aws } = await writer(kms);
    kms.faults.inject('Decrypt', 'throttle', { times: 1 });
    kms.faults.inject('ReEncrypt', 'internal', { times: 1 });
    expect(await aws.notDenied(SCOPE)).toEqual([]);
    expect(aws.calls()).toMatchObject({ Decrypt: 3, ReEncrypt: 3 });
  });

  it.each([
    ['throttle', 'ERR_KMS_THROTTLED'],
    ['close', 'ERR_KMS_UNAVAILABLE'],
    ['hang', 'ERR_KMS_TIMEOUT'],
    ['denied', 'ERR_KMS_DENIED'],
  ] as const)('fails in time where no data key can be made (%s)', async (fault: Fault, code) => {
    const kms = await emulatorWith();
    const { aws } = await writer(kms, { attempts: 2, timeouts: { requestMs: 300, totalMs: 1_500 } });
    kms.faults.inject('*', fault);
    const started = performance.now();
    await failure(code, aws.notDenied(SCOPE));
    expect(performance.now() - started).toBeLessThan(3_500);
    expect(aws.calls()).not.toHaveProperty('Decrypt');
  });

  it('throws when the provider is closed while it asks', async () => {
    const kms = await emulatorWith();
    const { aws } = await writer(kms);
    kms.faults.inject('Decrypt', 'hang');
    const asking = failure('ERR_KMS_UNAVAILABLE', aws.notDenied(SCOPE));
    setTimeout(() => void aws.close(), 100);
    expect((await asking).message).toContain('was closed');
  });

  it('hands out no key but the ones that GenerateDataKey makes', async () => {
    const seen: Buffer[] = [];
    const kms = await emulator({
      createKeys: CARD_KEKS,
      policy: policyWith({ web: [allow('kms:*')] }),
      unsafeOnPlaintext: (bytes) => seen.push(bytes),
    });
    const { aws } = await writer(kms);
    await aws.notDenied(SCOPE);
    expect(seen).toHaveLength(4);
  });
});
