/** Calls to the KMS with the encryption contexts that fieldseal sends. */
import {
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  ReEncryptCommand,
  VerifyMacCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';

export type Context = Readonly<Record<string, string>>;

export interface Wrapped {
  readonly key: string;
  readonly blob: Uint8Array;
  readonly context: Context;
}

const WRAP_ID = '5e3c1a52-7a34-4f0e-9a55-0d4a6f0f2b11';

/** Of a data key that travels in a cell. */
export const inCell = (purpose: string, changes: Context = {}): Context => ({
  application: 'shop',
  environment: 'test',
  purpose,
  kind: 'data',
  delivery: 'envelope',
  ...changes,
});

/** Of a key of the key store. */
export const inStore = (purpose: string, kind: string, changes: Context = {}): Context => ({
  ...inCell(purpose),
  kind,
  delivery: 'pool',
  wrapId: WRAP_ID,
  ...changes,
});

export async function dataKey(sdk: KMSClient, key: string, context: Context): Promise<Wrapped> {
  const { CiphertextBlob: blob } = await sdk.send(
    new GenerateDataKeyCommand({ KeyId: key, NumberOfBytes: 32, EncryptionContext: context }),
  );
  return { key, blob: blob!, context };
}

export async function keyPair(sdk: KMSClient, key: string, context: Context): Promise<Wrapped> {
  const { PrivateKeyCiphertextBlob: blob } = await sdk.send(
    new GenerateDataKeyPairWithoutPlaintextCommand({
      KeyId: key,
      KeyPairSpec: 'ECC_NIST_P256',
      EncryptionContext: context,
    }),
  );
  return { key, blob: blob!, context };
}

export const dataKeyWithoutPlaintext = (sdk: KMSClient, KeyId: string, EncryptionContext: Context) =>
  sdk.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 32, EncryptionContext }));

export const decrypt = (sdk: KMSClient, { key, blob, context }: Wrapped) =>
  sdk.send(new DecryptCommand({ KeyId: key, CiphertextBlob: blob, EncryptionContext: context }));

export const encrypt = (sdk: KMSClient, KeyId: string, EncryptionContext: Context) =>
  sdk.send(new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(32, 1), EncryptionContext }));

/** To another key, under the same context unless another is given. */
export const reEncrypt = (sdk: KMSClient, { key, blob, context }: Wrapped, to: string, other = context) =>
  sdk.send(
    new ReEncryptCommand({
      SourceKeyId: key,
      CiphertextBlob: blob,
      SourceEncryptionContext: context,
      DestinationKeyId: to,
      DestinationEncryptionContext: other,
    }),
  );

export const generateMac = (
  sdk: KMSClient,
  KeyId: string,
  MacAlgorithm: 'HMAC_SHA_256' | 'HMAC_SHA_512' = 'HMAC_SHA_256',
) => sdk.send(new GenerateMacCommand({ KeyId, Message: Buffer.from('a value'), MacAlgorithm }));

export const verifyMac = (sdk: KMSClient, KeyId: string) =>
  sdk.send(
    new VerifyMacCommand({
      KeyId,
      Message: Buffer.from('a value'),
      Mac: Buffer.alloc(32),
      MacAlgorithm: 'HMAC_SHA_256',
    }),
  );
