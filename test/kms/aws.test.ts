import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/kms/aws.js';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import {
  after,
  CARD,
  CARD_KEKS,
  client,
  emulator,
  failure,
  isOldestSdk,
  MATERIAL_ID,
  optionsFor,
  policyWith,
  provider,
} from './kms.js';

async function keyArnOf(kms: KmsEmulator, name: string): Promise<string> {
  const { KeyMetadata } = await client(kms).send(new DescribeKeyCommand({ KeyId: name }));
  return KeyMetadata?.Arn ?? '';
}

describe('start', () => {
  it('resolves aliases, ids and ARNs to key ARNs, each KEK once', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const arn = await keyArnOf(kms, 'alias/card-a');
    const names = ['alias/card-a', arn, arn.split('/')[1] ?? '', arn.replace(/key\/.*/, 'alias/card-a')];
    const { provider: kek } = await provider(kms, { keks: { [CARD.purpose]: names } });
    expect(kek.keks(CARD.purpose)).toEqual([arn]);
  });

  it('refuses a KEK that is disabled, and says to move it to openKeks', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    await client(kms).send(new DisableKeyCommand({ KeyId: await keyArnOf(kms, 'alias/card-b') }));
    const error = await failure('ERR_KMS_KEK_UNUSABLE', provider(kms));
    expect(error.message).toMatch(/alias\/card-b.*expected key state Enabled, got Disabled.*openKeks/s);
  });

  it('refuses a KEK that is no symmetric encryption key', async () => {
    const kms = await emulator();
    const { KeyMetadata } = await client(kms).send(
      new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
    );
    const keks = { [CARD.purpose]: [KeyMetadata?.Arn ?? ''] };
    const error = await failure('ERR_KMS_KEK_UNUSABLE', provider(kms, { keks }));
    expect(error.message).toContain('got HMAC_256 for GENERATE_VERIFY_MAC');
  });

  it('refuses a KEK that does not exist', async () => {
    await failure('ERR_KMS_KEK_UNUSABLE', provider(await emulator()));
  });

  it('warns of a retired KEK that is gone, and starts', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek, events } = await provider(kms, { openKeks: { [CARD.purpose]: ['alias/gone'] } });
    expect(kek.keks(CARD.purpose)).toHaveLength(2);
    expect(events).toMatchObject([{ type: 'warning', code: 'ERR_KMS_KEK_UNUSABLE' }]);
  });

  it('makes no call before it', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    awsKms(optionsFor(kms));
    expect(kms.audit()).toEqual([]);
  });
});

describe('encryption context', () => {
  it('is exactly application, environment, purpose, kind, delivery and wrapId, in wraps and unwraps', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [arn = ''] = kek.keks(CARD.purpose);
    const { wrap } = await kek.generate(arn, CARD);
    await kek.unwrap([wrap], CARD);
    const uses = kms.audit().filter((entry) => entry.event !== 'DescribeKey');
    expect(uses.map((entry) => entry.event)).toEqual(['GenerateDataKey', 'Decrypt']);
    for (const use of uses) expect(use).toMatchObject({ keyArn: arn, encryptionContext: { ...CARD } });
    for (const use of uses) expect(Object.keys(use.encryptionContext ?? {})).toHaveLength(6);
  });
});

describe('unwrap', () => {
  it('goes to the next wrap where the KEK of the first is disabled', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [first = '', second = ''] = kek.keks(CARD.purpose);
    const { wrap, root } = await kek.generate(first, CARD);
    const other = await reWrapped(kms, wrap, second);
    await client(kms).send(new DisableKeyCommand({ KeyId: first }));
    expect(await kek.unwrap([wrap, other], CARD)).toEqual(root);
    await failure('ERR_KMS_KEK_UNUSABLE', kek.unwrap([wrap], CARD));
  });

  it('goes to the next wrap where the KEK of the first is pending deletion', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [first = '', second = ''] = kek.keks(CARD.purpose);
    const { wrap, root } = await kek.generate(first, CARD);
    const other = await reWrapped(kms, wrap, second);
    await client(kms).send(new ScheduleKeyDeletionCommand({ KeyId: first }));
    expect(await kek.unwrap([wrap, other], CARD)).toEqual(root);
  });

  it('says that a retry can help when one KEK is gone and the other out of reach', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { attempts: 1 });
    const [first = '', second = ''] = kek.keks(CARD.purpose);
    const { wrap } = await kek.generate(first, CARD);
    await client(kms).send(new DisableKeyCommand({ KeyId: first }));
    kms.faults.inject('Decrypt', 'internal', { keyArn: second });
    const error = await failure('ERR_KMS_UNAVAILABLE', kek.unwrap([wrap, { ...wrap, kek: second }], CARD));
    expect(error.retryable).toBe(true);
  });

  it('opens wraps of a retired KEK, which wraps nothing new', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: before } = await provider(kms, { keks: { [CARD.purpose]: ['alias/card-b'] } });
    const [retired = ''] = before.keks(CARD.purpose);
    const { wrap, root } = await before.generate(retired, CARD);
    const { provider: kek } = await provider(kms, {
      keks: { [CARD.purpose]: ['alias/card-a'] },
      openKeks: { [CARD.purpose]: ['alias/card-b'] },
    });
    expect(kek.keks(CARD.purpose)).not.toContain(retired);
    expect(await kek.unwrap([wrap], CARD)).toEqual(root);
    await failure('ERR_KMS_KEK_NOT_CONFIGURED', kek.generate(retired, CARD));
  });

  it('opens wraps from before a rotation of the KEK, and wraps under the new material', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [arn = ''] = kek.keks(CARD.purpose);
    const old = await kek.generate(arn, CARD);
    await client(kms).send(new RotateKeyOnDemandCommand({ KeyId: arn }));
    const fresh = await kek.generate(arn, CARD);
    expect(old.wrap.keyMaterialId).toEqual(MATERIAL_ID);
    if (!isOldestSdk) expect(fresh.wrap.keyMaterialId).not.toBe(old.wrap.keyMaterialId);
    expect(await kek.unwrap([old.wrap], CARD)).toEqual(old.root);
  });

  it('never has more than parallelUnwraps calls under way', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { parallelUnwraps: 2 });
    const [arn = ''] = kek.keks(CARD.purpose);
    const { wrap } = await kek.generate(arn, CARD);
    kms.faults.inject('Decrypt', 'slow', { delayMs: 60 });
    const started = performance.now();
    await Promise.all(Array.from({ length: 6 }, () => kek.unwrap([wrap], CARD)));
    // Three rounds of two; all six at once would take one round.
    expect(performance.now() - started).toBeGreaterThan(170);
  });

  it('refuses a KEK of a stranger that a row names, and repeats no name that is no ARN', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const { wrap } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
    const planted = { ...wrap, kek: '4111111111111111' };
    const error = await failure('ERR_KMS_KEK_NOT_CONFIGURED', kek.unwrap([planted], CARD));
    expect(error.message).not.toContain('4111');
  });
});

describe('KEKs in two regions', () => {
  it('asks each region at its own endpoint, and opens by one when the other is down', async () => {
    const [near, far] = [
      await emulator({ createKeys: ['alias/card-a'] }),
      await emulator({ createKeys: ['alias/card-b'], region: 'eu-west-1' }),
    ];
    const farArn = await keyArnOf(far, 'alias/card-b');
    const { provider: kek } = await provider(near, {
      endpoint: { [near.region]: near.endpoint, [far.region]: far.endpoint },
      keks: { [CARD.purpose]: ['alias/card-a', farArn] },
    });
    const [nearArn = ''] = kek.keks(CARD.purpose);
    const { wrap, root } = await kek.generate(farArn, CARD);
    const lost = (await kek.generate(nearArn, CARD)).wrap;
    await near.close();
    expect(await kek.unwrap([lost, wrap], CARD)).toEqual(root);
    await failure('ERR_KMS_UNAVAILABLE', kek.unwrap([lost], CARD));
  });
});

describe('privileges', () => {
  it('a process with GenerateDataKey alone wraps, cannot unwrap, and the denial is an alarm', async () => {
    const web = [
      { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:DescribeKey'], Resource: '*' },
    ] as const;
    const kms = await emulator({ createKeys: CARD_KEKS, policy: policyWith({ web }) });
    const { provider: kek, events } = await provider(kms, { credentials: kms.credentials('web') });
    const { wrap } = await kek.generate(kek.keks(CARD.purpose)[0] ?? '', CARD);
    const before = kek.calls().Decrypt ?? 0;
    const error = await failure('ERR_KMS_DENIED', kek.unwrap([wrap, wrap], CARD));
    expect(error.retryable).toBe(false);
    expect((kek.calls().Decrypt ?? 0) - before).toBe(1);
    expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_DENIED' }]);
  });

  it('wrong credentials are a denial, not a reason to try on', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const credentials = { ...kms.credentials(), secretAccessKey: 'not-the-secret-at-all' };
    const keks = { [CARD.purpose]: ['alias/card-a'] };
    await failure('ERR_KMS_DENIED', provider(kms, { credentials, keks }));
    expect(kms.audit()).toMatchObject([{ principal: null, error: 'InvalidSignatureException' }]);
  });

  it('takes a function that fetches credentials', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms, { credentials: () => Promise.resolve(kms.credentials()) });
    expect(kek.keks(CARD.purpose)).toHaveLength(2);
  });
});

describe('close', () => {
  it('ends calls that are under way and refuses later ones', async () => {
    const kms = await emulator({ createKeys: CARD_KEKS });
    const { provider: kek } = await provider(kms);
    const [arn = ''] = kek.keks(CARD.purpose);
    kms.faults.inject('GenerateDataKey', 'hang');
    const running = failure('ERR_KMS_UNAVAILABLE', kek.generate(arn, CARD));
    setTimeout(() => void kek.close(), 50);
    expect((await running).message).toContain('was closed');
    await failure('ERR_KMS_UNAVAILABLE', kek.generate(arn, CARD));
    await kek.close();
  });

  it('before start is harmless, and so is asking for counts', async () => {
    const kms = await emulator();
    const kek = awsKms(optionsFor(kms));
    expect(kek.calls()).toEqual({});
    await kek.close();
    after(() => kek.close());
  });
});

/** The same root under another KEK, as `keys rewrap` makes it. */
async function reWrapped<W extends { readonly wrapped: Buffer; readonly kek: string }>(
  kms: KmsEmulator,
  wrap: W,
  kek: string,
): Promise<W> {
  const { CiphertextBlob } = await client(kms).send(
    new ReEncryptCommand({
      CiphertextBlob: wrap.wrapped,
      SourceKeyId: wrap.kek,
      SourceEncryptionContext: { ...CARD },
      DestinationKeyId: kek,
      DestinationEncryptionContext: { ...CARD },
    }),
  );
  return { ...wrap, kek, wrapped: Buffer.from(CiphertextBlob ?? []) };
}
