/** Keys that make blind indexes at the KMS. */
import { CreateKeyCommand, KMSClient, type KeySpec } from '@aws-sdk/client-kms';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';

/** The ARN of a new one, made by the first principal unless another is named. */
export async function newMacKey(
  kms: KmsEmulator,
  KeySpec: KeySpec = 'HMAC_256',
  principal = kms.principals[0],
): Promise<string> {
  const { region, endpoint } = kms;
  const client = new KMSClient({ region, endpoint, credentials: kms.credentials(principal) });
  try {
    const { KeyMetadata } = await client.send(
      new CreateKeyCommand({ KeySpec, KeyUsage: 'GENERATE_VERIFY_MAC' }),
    );
    return KeyMetadata!.Arn!;
  } finally {
    client.destroy();
  }
}
