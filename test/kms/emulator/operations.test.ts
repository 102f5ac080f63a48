import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  GetPublicKeyCommand,
  ListAliasesCommand,
  ListGrantsCommand,
  ListResourceTagsCommand,
  NotFoundException,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { client, emulator, exceptionOf } from '../kms.js';

const KeyId = 'alias/a';
const EncryptionContext = { purpose: 'card-number', kind: 'data' };
const DAY_MS = 86_400_000;

async function setUp(now?: () => number) {
  const kms = await emulator({ createKeys: [KeyId, 'alias/b'], ...(now === undefined ? {} : { now }) });
  const sdk = client(kms, undefined, now === undefined ? {} : { systemClockOffset: now() - Date.now() });
  const { KeyMetadata } = await sdk.send(new DescribeKeyCommand({ KeyId }));
  return { kms, sdk, arn: KeyMetadata?.Arn ?? '' };
}

function encrypt(sdk: KMSClient, text = 'value') {
  return sdk.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from(text), EncryptionContext }));
}

async function decryptText(sdk: KMSClient, CiphertextBlob: Uint8Array | undefined): Promise<string> {
  const { Plaintext } = await sdk.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
  return Buffer.from(Plaintext ?? []).toString();
}

describe('Encrypt and Decrypt', () => {
  it('give back what was put in, with and without KeyId', async () => {
    const { sdk, arn } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    expect(await decryptText(sdk, CiphertextBlob)).toBe('value');
    const byKey = await sdk.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext }));
    expect(byKey.KeyId).toBe(arn);
    expect(byKey.KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
  });

  it('refuse another context: a changed, missing or additional pair, or two pairs joined', async () => {
    const { sdk } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    const others = [
      {},
      { purpose: 'card-number' },
      { ...EncryptionContext, extra: '' },
      { kind: 'datapurposecard-number' },
    ];
    for (const other of others) {
      const moved = sdk.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: other }));
      expect(await exceptionOf(moved)).toBe('InvalidCiphertextException');
    }
  });

  it('take the pairs of a context in any order', async () => {
    const { sdk } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    const reversed = { kind: 'data', purpose: 'card-number' };
    expect(
      await exceptionOf(sdk.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: reversed }))),
    ).toBe('success');
  });

  it('refuse ciphertext of another key, and ciphertext that is none', async () => {
    const { sdk } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    const other = new DecryptCommand({ KeyId: 'alias/b', CiphertextBlob, EncryptionContext });
    expect(await exceptionOf(sdk.send(other))).toBe('IncorrectKeyException');
    for (const blob of [
      Buffer.alloc(5),
      Buffer.alloc(200),
      Buffer.from(CiphertextBlob ?? []).subarray(0, -1),
    ]) {
      const broken = new DecryptCommand({ KeyId, CiphertextBlob: blob, EncryptionContext });
      expect(await exceptionOf(sdk.send(broken))).toBe('InvalidCiphertextException');
    }
  });

  it('bound the plaintext at 4,096 bytes', async () => {
    const { sdk } = await setUp();
    expect(await exceptionOf(encrypt(sdk, 'x'.repeat(4_096)))).toBe('success');
    expect(await exceptionOf(encrypt(sdk, 'x'.repeat(4_097)))).toBe('ValidationException');
  });
});

describe('ReEncrypt', () => {
  it('moves ciphertext to another key and context, and the audit log names both', async () => {
    const { kms, sdk, arn } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    const DestinationEncryptionContext = { purpose: 'other' };
    const moved = await sdk.send(
      new ReEncryptCommand({
        CiphertextBlob,
        SourceEncryptionContext: EncryptionContext,
        DestinationKeyId: 'alias/b',
        DestinationEncryptionContext,
      }),
    );
    const opened = await sdk.send(
      new DecryptCommand({
        CiphertextBlob: moved.CiphertextBlob,
        EncryptionContext: DestinationEncryptionContext,
      }),
    );
    expect(Buffer.from(opened.Plaintext ?? []).toString()).toBe('value');
    expect(kms.audit().find((entry) => entry.event === 'ReEncrypt')).toMatchObject({
      keyArn: arn,
      encryptionContext: EncryptionContext,
      destination: { keyArn: moved.KeyId, encryptionContext: DestinationEncryptionContext },
      error: null,
    });
  });
});

describe('data keys', () => {
  it('come with and without plaintext, and open to the same bytes', async () => {
    const { sdk } = await setUp();
    const full = await sdk.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32, EncryptionContext }));
    expect(full.Plaintext).toHaveLength(32);
    const opened = await sdk.send(
      new DecryptCommand({ CiphertextBlob: full.CiphertextBlob, EncryptionContext }),
    );
    expect(Buffer.from(opened.Plaintext ?? [])).toEqual(Buffer.from(full.Plaintext ?? []));
    const bare = await sdk.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256' }));
    expect(bare).not.toHaveProperty('Plaintext');
    const later = await sdk.send(new DecryptCommand({ CiphertextBlob: bare.CiphertextBlob }));
    expect(later.Plaintext).toHaveLength(32);
  });

  it('need exactly one of NumberOfBytes and KeySpec', async () => {
    const { sdk } = await setUp();
    const both = new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32, KeySpec: 'AES_256' });
    expect(await exceptionOf(sdk.send(both))).toBe('ValidationException');
    expect(await exceptionOf(sdk.send(new GenerateDataKeyCommand({ KeyId })))).toBe('ValidationException');
  });

  it('come as P-256 pairs whose private key is PKCS #8 under the KEK and fits the public key', async () => {
    const { sdk } = await setUp();
    const pair = await sdk.send(
      new GenerateDataKeyPairWithoutPlaintextCommand({
        KeyId,
        KeyPairSpec: 'ECC_NIST_P256',
        EncryptionContext,
      }),
    );
    const opened = await sdk.send(
      new DecryptCommand({ CiphertextBlob: pair.PrivateKeyCiphertextBlob, EncryptionContext }),
    );
    const der = Buffer.from(opened.Plaintext ?? []);
    const publicKey = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    expect(publicKey.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(pair.PublicKey ?? []));
  });

  it('are told to the canary hook, each one as a copy', async () => {
    const told: Buffer[] = [];
    const kms = await emulator({
      createKeys: [KeyId],
      unsafeOnPlaintext: (bytes) => {
        told.push(Buffer.from(bytes));
        bytes.fill(0);
      },
    });
    const sdk = client(kms);
    const made = await sdk.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32 }));
    const opened = await sdk.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }));
    const plaintext = Buffer.from(made.Plaintext ?? []);
    expect(Buffer.from(opened.Plaintext ?? [])).toEqual(plaintext);
    expect(told).toEqual([plaintext, plaintext]);
    expect(JSON.stringify(kms.audit())).not.toContain(plaintext.toString('base64'));
  });
});

describe('MACs', () => {
  it('are HMACs that verify, and others do not', async () => {
    const { sdk } = await setUp();
    const { KeyMetadata } = await sdk.send(
      new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
    );
    const request = {
      KeyId: KeyMetadata?.Arn,
      MacAlgorithm: 'HMAC_SHA_256',
      Message: Buffer.from('pan'),
    } as const;
    const { Mac } = await sdk.send(new GenerateMacCommand(request));
    expect(Mac).toHaveLength(32);
    expect((await sdk.send(new VerifyMacCommand({ ...request, Mac }))).MacValid).toBe(true);
    const wrong = createHmac('sha256', 'guess').update('pan').digest();
    expect(await exceptionOf(sdk.send(new VerifyMacCommand({ ...request, Mac: wrong })))).toBe(
      'KMSInvalidMacException',
    );
    const other = sdk.send(new GenerateMacCommand({ ...request, MacAlgorithm: 'HMAC_SHA_512' }));
    expect(await exceptionOf(other)).toBe('InvalidKeyUsageException');
  });

  it('need a MAC key, and MAC keys do not encrypt', async () => {
    const { sdk } = await setUp();
    const Message = Buffer.from('pan');
    const bySymmetric = sdk.send(new GenerateMacCommand({ KeyId, MacAlgorithm: 'HMAC_SHA_256', Message }));
    expect(await exceptionOf(bySymmetric)).toBe('InvalidKeyUsageException');
    const made = await sdk.send(
      new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
    );
    const byMac = sdk.send(new GenerateDataKeyCommand({ KeyId: made.KeyMetadata?.Arn, NumberOfBytes: 32 }));
    expect(await exceptionOf(byMac)).toBe('InvalidKeyUsageException');
  });
});

describe('rotation', () => {
  it('on demand makes new material, and old ciphertext still opens', async () => {
    const { sdk } = await setUp();
    const old = await encrypt(sdk);
    const first = await sdk.send(new DescribeKeyCommand({ KeyId }));
    await sdk.send(new RotateKeyOnDemandCommand({ KeyId }));
    const second = await sdk.send(new DescribeKeyCommand({ KeyId }));
    expect(second.KeyMetadata?.CurrentKeyMaterialId).not.toBe(first.KeyMetadata?.CurrentKeyMaterialId);
    expect(await decryptText(sdk, old.CiphertextBlob)).toBe('value');
    const fresh = await sdk.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32 }));
    expect(fresh.KeyMaterialId).toBe(second.KeyMetadata?.CurrentKeyMaterialId);
  });

  it('by the calendar happens when the period is over', async () => {
    let now = Date.now();
    const { kms, sdk } = await setUp(() => now);
    await sdk.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    const status = await sdk.send(new GetKeyRotationStatusCommand({ KeyId }));
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 90 });
    const materialOf = async () => {
      const later = client(kms, undefined, { systemClockOffset: now - Date.now() });
      return (await later.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.CurrentKeyMaterialId;
    };
    const first = await materialOf();
    now += 89 * DAY_MS;
    expect(await materialOf()).toBe(first);
    now += 2 * DAY_MS;
    expect(await materialOf()).not.toBe(first);
  });

  it('stops when it is disabled', async () => {
    const { sdk } = await setUp();
    await sdk.send(new EnableKeyRotationCommand({ KeyId }));
    await sdk.send(new DisableKeyRotationCommand({ KeyId }));
    expect((await sdk.send(new GetKeyRotationStatusCommand({ KeyId }))).KeyRotationEnabled).toBe(false);
  });

  it('is off until enabled', async () => {
    const { sdk } = await setUp();
    const status = await sdk.send(new GetKeyRotationStatusCommand({ KeyId }));
    expect(status.KeyRotationEnabled).toBe(false);
  });
});

describe('key states', () => {
  it('a disabled key does nothing until it is enabled', async () => {
    const { sdk, arn } = await setUp();
    const { CiphertextBlob } = await encrypt(sdk);
    await sdk.send(new DisableKeyCommand({ KeyId: arn }));
    expect(await exceptionOf(encrypt(sdk))).toBe('DisabledException');
    expect(await exceptionOf(decryptText(sdk, CiphertextBlob))).toBe('DisabledException');
    expect((await sdk.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe('Disabled');
    await sdk.send(new EnableKeyCommand({ KeyId: arn }));
    expect(await decryptText(sdk, CiphertextBlob)).toBe('value');
  });

  it('a key pending deletion does nothing, can be saved, and is then disabled', async () => {
    const { sdk, arn } = await setUp();
    const scheduled = await sdk.send(new ScheduleKeyDeletionCommand({ KeyId: arn, PendingWindowInDays: 7 }));
    expect(scheduled.KeyState).toBe('PendingDeletion');
    expect(await exceptionOf(encrypt(sdk))).toBe('KMSInvalidStateException');
    expect(await exceptionOf(sdk.send(new EnableKeyCommand({ KeyId: arn })))).toBe(
      'KMSInvalidStateException',
    );
    await sdk.send(new CancelKeyDeletionCommand({ KeyId: arn }));
    expect(await exceptionOf(encrypt(sdk))).toBe('DisabledException');
  });

  it('after the waiting time the key is gone', async () => {
    let now = Date.now();
    const { kms, sdk, arn } = await setUp(() => now);
    await sdk.send(new ScheduleKeyDeletionCommand({ KeyId: arn, PendingWindowInDays: 7 }));
    now += 8 * DAY_MS;
    const later = client(kms, undefined, { systemClockOffset: 8 * DAY_MS });
    expect(await exceptionOf(later.send(new DescribeKeyCommand({ KeyId: arn })))).toBe('NotFoundException');
  });
});

describe('names', () => {
  it('unknown keys raise the class NotFoundException of the SDK', async () => {
    const { sdk } = await setUp();
    for (const name of [
      'alias/none',
      '00000000-0000-0000-0000-000000000000',
      'arn:aws:kms:us-east-1:1:key/x',
    ]) {
      await expect(sdk.send(new DescribeKeyCommand({ KeyId: name }))).rejects.toBeInstanceOf(
        NotFoundException,
      );
    }
  });

  it('of aliases are listed with their key, and given once', async () => {
    const { sdk, arn } = await setUp();
    const { Aliases } = await sdk.send(new ListAliasesCommand({ KeyId: arn }));
    expect(Aliases).toMatchObject([{ AliasName: KeyId, TargetKeyId: arn.split('/')[1] }]);
    const again = new CreateAliasCommand({ AliasName: KeyId, TargetKeyId: arn });
    expect(await exceptionOf(sdk.send(again))).toBe('AlreadyExistsException');
    const bad = new CreateAliasCommand({ AliasName: 'alias/aws/kms', TargetKeyId: arn });
    expect(await exceptionOf(sdk.send(bad))).toBe('InvalidAliasNameException');
  });

  it('of aliases move to another key of the same type, and go', async () => {
    const { sdk, arn } = await setUp();
    const targetOf = async (name: string) =>
      (await sdk.send(new DescribeKeyCommand({ KeyId: name }))).KeyMetadata?.Arn;
    await sdk.send(new UpdateAliasCommand({ AliasName: 'alias/b', TargetKeyId: arn }));
    expect(await targetOf('alias/b')).toBe(arn);
    const mac = new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const { KeyMetadata } = await sdk.send(mac);
    const other = new UpdateAliasCommand({ AliasName: 'alias/b', TargetKeyId: KeyMetadata?.KeyId });
    expect(await exceptionOf(sdk.send(other))).toBe('ValidationException');
    await sdk.send(new DeleteAliasCommand({ AliasName: 'alias/b' }));
    expect(await exceptionOf(targetOf('alias/b'))).toBe('NotFoundException');
    const gone = new DeleteAliasCommand({ AliasName: 'alias/b' });
    expect(await exceptionOf(sdk.send(gone))).toBe('NotFoundException');
  });

  it('of descriptions, tags and key policies are kept and given back', async () => {
    const { sdk } = await setUp();
    await sdk.send(new UpdateKeyDescriptionCommand({ KeyId, Description: 'cards' }));
    const { KeyMetadata } = await sdk.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata?.Description).toBe('cards');
    const Tags = ['pci', 'team'].map((TagKey) => ({ TagKey, TagValue: 'yes' }));
    await sdk.send(new TagResourceCommand({ KeyId, Tags }));
    await sdk.send(new UntagResourceCommand({ KeyId, TagKeys: ['pci'] }));
    expect((await sdk.send(new ListResourceTagsCommand({ KeyId }))).Tags).toEqual([Tags[1]]);
    const policy = async () =>
      JSON.parse((await sdk.send(new GetKeyPolicyCommand({ KeyId }))).Policy ?? '') as object;
    const before = await policy();
    await sdk.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(before) }));
    expect(await policy()).toEqual(before);
  });

  it('of operations that the emulator lacks raise UnknownOperationException', async () => {
    const { kms, sdk } = await setUp();
    expect(await exceptionOf(sdk.send(new ListGrantsCommand({ KeyId })))).toBe('UnknownOperationException');
    expect(kms.audit().at(-1)).toMatchObject({ event: 'ListGrants', error: 'UnknownOperationException' });
  });
});

describe('public keys', () => {
  it('are given for asymmetric keys alone', async () => {
    const { sdk } = await setUp();
    const made = await sdk.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }));
    const { PublicKey } = await sdk.send(new GetPublicKeyCommand({ KeyId: made.KeyMetadata?.Arn }));
    const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(await exceptionOf(sdk.send(new GetPublicKeyCommand({ KeyId })))).toBe(
      'UnsupportedOperationException',
    );
  });
});

describe('the audit log', () => {
  it('has who, what, which key, which context, when and how it ended', async () => {
    const { kms, sdk, arn } = await setUp();
    await encrypt(sdk);
    const entry = kms.audit().at(-1);
    expect(entry).toMatchObject({
      event: 'Encrypt',
      principal: 'local',
      keyArn: arn,
      encryptionContext: EncryptionContext,
      error: null,
    });
    expect(Math.abs((entry?.at ?? 0) - Date.now())).toBeLessThan(10_000);
  });
});
