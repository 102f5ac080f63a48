/** MACs of AWS KMS, for blind indexes: under which key, for whom, and what becomes of every other answer. */
import { DisableKeyCommand, VerifyMacCommand } from '@aws-sdk/client-kms';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import {
  after,
  CARD,
  CARD_KEKS,
  client,
  emulator,
  failure,
  optionsFor,
  policyWith,
  provider,
  SCOPE,
} from './kms.js';
import { newMacKey } from './mac-key.js';

const MESSAGE = Buffer.from('a message that nobody may make a MAC of but the KMS');
const { purpose } = CARD;

async function open(options: Partial<AwsKmsOptions> = {}) {
  const kms = await emulator({ createKeys: CARD_KEKS });
  const arn = await newMacKey(kms);
  const started = await provider(kms, { macKeys: { [purpose]: arn }, ...options });
  return { kms, arn, ...started };
}

const macOf = (kms: KmsEmulator, KeyId: string, Mac: Buffer) =>
  client(kms).send(new VerifyMacCommand({ KeyId, Mac, Message: MESSAGE, MacAlgorithm: 'HMAC_SHA_256' }));

describe('a MAC', () => {
  it('is HMAC-SHA-256 under the key of the purpose, by one call', async () => {
    const { kms, arn, provider: kek } = await open();
    const mac = await kek.mac!(purpose, 1, MESSAGE);
    expect(mac).toHaveLength(32);
    expect((await macOf(kms, arn, mac)).MacValid).toBe(true);
    expect(kek.calls().GenerateMac).toBe(1);
  });

  it('is made under the key of its version, where each has one', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const [first, second] = [await newMacKey(kms), await newMacKey(kms)];
    const { provider: kek } = await provider(kms, { macKeys: { [purpose]: { 1: first, 2: second } } });
    expect((await macOf(kms, second, await kek.mac!(purpose, 2, MESSAGE))).MacValid).toBe(true);
    expect((await macOf(kms, first, await kek.mac!(purpose, 1, MESSAGE))).MacValid).toBe(true);
    const error = await failure('ERR_CONFIG_OPTION', kek.mac!(purpose, 3, MESSAGE));
    expect(error.message).toMatch(/awsKms\.macKeys\.card-number.*version 3/u);
  });

  it('is made under one ARN alone for version 1, and for no other', async () => {
    const { provider: kek } = await open();
    await kek.mac!(purpose, 1, MESSAGE);
    const error = await failure('ERR_CONFIG_OPTION', kek.mac!(purpose, 2, MESSAGE));
    expect(error.message).toContain('version 2');
  });

  it('is made by a process that only writes and has no other right beside GenerateDataKey', async () => {
    const policy = policyWith({
      web: [{ Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:GenerateMac'], Resource: '*' }],
    });
    const kms = await emulator({ createKeys: CARD_KEKS, policy });
    const web = awsKms({
      ...optionsFor(kms),
      credentials: kms.credentials('web'),
      macKeys: { [purpose]: await newMacKey(kms) },
    });
    after(() => web.close());
    await web.startWriteOnly([SCOPE], () => undefined);
    expect(await web.mac!(purpose, 1, MESSAGE)).toHaveLength(32);
    await web.close();
    await failure('ERR_KMS_UNAVAILABLE', web.mac!(purpose, 1, MESSAGE));
  });
});

describe('no MAC', () => {
  it.each([
    ['throttle', 'ERR_KMS_THROTTLED'],
    ['denied', 'ERR_KMS_DENIED'],
    ['garbage', 'ERR_KMS_RESPONSE'],
    ['empty', 'ERR_KMS_RESPONSE'],
    ['wrong-key', 'ERR_KMS_RESPONSE'],
    ['hang', 'ERR_KMS_TIMEOUT'],
  ] as const)('comes of %s: %s', async (fault, code) => {
    const { kms, provider: kek } = await open({ attempts: 1, timeouts: { requestMs: 300 } });
    kms.faults.inject('GenerateMac', fault);
    const error = await failure(code, kek.mac!(purpose, 1, MESSAGE));
    expect(error.message).toContain('card-number');
    for (const encoding of ['utf8', 'base64', 'hex'] as const)
      expect(inspect(error, { depth: 9 })).not.toContain(MESSAGE.toString(encoding));
  });

  it('comes of a key that is disabled, or of another kind', async () => {
    const { kms, arn, provider: kek } = await open();
    await client(kms).send(new DisableKeyCommand({ KeyId: arn }));
    const disabled = await failure('ERR_KMS_KEK_UNUSABLE', kek.mac!(purpose, 1, MESSAGE));
    expect(disabled.message).toMatch(/the MAC key is disabled.*awsKms\.macKeys/u);
    const { provider: other } = await provider(kms, {
      macKeys: { [purpose]: await newMacKey(kms, 'HMAC_512') },
    });
    await failure('ERR_KMS_KEK_UNUSABLE', other.mac!(purpose, 1, MESSAGE));
  });
});
