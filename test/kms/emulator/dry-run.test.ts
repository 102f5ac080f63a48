import {
  CreateKeyCommand,
  DecryptCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  ReEncryptCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import type { PolicyStatement } from '../../../src/kms/emulator/policy-file.js';
import { client, emulator, exceptionOf, policyWith } from '../kms.js';

const KeyId = 'alias/a';
const EncryptionContext = { purpose: 'card-number', delivery: 'envelope' };
const DryRun = true;

interface Asked {
  readonly web: KMSClient;
  readonly CiphertextBlob: Uint8Array | undefined;
  readonly mac: { KeyId: string | undefined; MacAlgorithm: 'HMAC_SHA_256'; Message: Uint8Array };
  readonly Mac: Uint8Array | undefined;
}

type Question = (asked: Asked, DryRun: boolean) => Promise<unknown>;

const QUESTIONS: readonly (readonly [operation: string, actions: readonly string[], ask: Question])[] = [
  [
    'Encrypt',
    ['Encrypt'],
    ({ web }, DryRun) =>
      web.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x'), EncryptionContext, DryRun })),
  ],
  [
    'Decrypt',
    ['Decrypt'],
    ({ web, CiphertextBlob }, DryRun) =>
      web.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext, DryRun })),
  ],
  [
    'ReEncrypt',
    ['ReEncryptFrom', 'ReEncryptTo'],
    ({ web, CiphertextBlob }, DryRun) =>
      web.send(
        new ReEncryptCommand({
          CiphertextBlob,
          SourceKeyId: KeyId,
          SourceEncryptionContext: EncryptionContext,
          DestinationKeyId: KeyId,
          DestinationEncryptionContext: EncryptionContext,
          DryRun,
        }),
      ),
  ],
  [
    'GenerateDataKey',
    ['GenerateDataKey'],
    ({ web }, DryRun) =>
      web.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 32, EncryptionContext, DryRun })),
  ],
  [
    'GenerateDataKeyWithoutPlaintext',
    ['GenerateDataKeyWithoutPlaintext'],
    ({ web }, DryRun) =>
      web.send(
        new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 32, EncryptionContext, DryRun }),
      ),
  ],
  [
    'GenerateDataKeyPairWithoutPlaintext',
    ['GenerateDataKeyPairWithoutPlaintext'],
    ({ web }, DryRun) =>
      web.send(
        new GenerateDataKeyPairWithoutPlaintextCommand({
          KeyId,
          KeyPairSpec: 'ECC_NIST_P256',
          EncryptionContext,
          DryRun,
        }),
      ),
  ],
  [
    'GenerateMac',
    ['GenerateMac'],
    ({ web, mac }, DryRun) => web.send(new GenerateMacCommand({ ...mac, DryRun })),
  ],
  [
    'VerifyMac',
    ['VerifyMac'],
    ({ web, mac, Mac }, DryRun) => web.send(new VerifyMacCommand({ ...mac, Mac, DryRun })),
  ],
];

/** A principal that may do these actions, with a ciphertext and a MAC to ask about. */
async function setUp(actions: readonly string[]) {
  const statement: PolicyStatement = {
    Effect: 'Allow',
    Action: ['kms:None', ...actions.map((action) => `kms:${action}`)],
    Resource: '*',
  };
  const told: Buffer[] = [];
  const kms = await emulator({
    createKeys: [KeyId],
    policy: policyWith({ web: [statement] }),
    unsafeOnPlaintext: (bytes) => told.push(bytes),
  });
  const admin = client(kms, 'admin');
  const encrypted = await admin.send(
    new EncryptCommand({ KeyId, Plaintext: Buffer.from('x'), EncryptionContext }),
  );
  const made = await admin.send(
    new CreateKeyCommand({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
  );
  const mac = {
    KeyId: made.KeyMetadata?.Arn,
    MacAlgorithm: 'HMAC_SHA_256',
    Message: Buffer.from('pan'),
  } as const;
  const { Mac } = await admin.send(new GenerateMacCommand(mac));
  const { CiphertextBlob } = encrypted;
  const asked: Asked = { web: client(kms, 'web'), CiphertextBlob, mac, Mac };
  const disableKeys = async (): Promise<void> => {
    for (const arn of [encrypted.KeyId, mac.KeyId]) await admin.send(new DisableKeyCommand({ KeyId: arn }));
  };
  return { kms, asked, told, disableKeys };
}

describe.each(QUESTIONS)('a dry run of %s', (operation, actions, ask) => {
  it('is told from the call itself for those who may, and hands nothing out', async () => {
    const { kms, asked, told } = await setUp(actions);
    expect(await exceptionOf(ask(asked, DryRun))).toBe('DryRunOperationException');
    expect(kms.audit().at(-1)).toMatchObject({ event: operation, error: 'DryRunOperationException' });
    expect(told).toEqual([]);
    expect(await exceptionOf(ask(asked, false))).toBe('success');
  });

  it('is denied to those who lack one of its actions', async () => {
    for (const missing of actions) {
      const { asked } = await setUp(actions.filter((action) => action !== missing));
      expect(await exceptionOf(ask(asked, DryRun))).toBe('AccessDeniedException');
    }
  });

  it('finds a disabled key, after it looked at the rights', async () => {
    for (const [rights, exception] of [
      [actions, 'DisabledException'],
      [[], 'AccessDeniedException'],
    ] as const) {
      const { asked, disableKeys } = await setUp(rights);
      await disableKeys();
      expect(await exceptionOf(ask(asked, DryRun))).toBe(exception);
    }
  });
});
