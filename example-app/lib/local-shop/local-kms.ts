/** The local KMS, with the policies that `fieldseal policy` prints for the tiers of the shop. */
import { randomBytes } from 'node:crypto';
import { DescribeKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { startKmsEmulator, type KmsEmulator } from 'fieldseal/testing';
import { KEKS } from '../../config/purposes.js';

/** `keys` may do something where cards are sealed to key pairs. */
export const PRINCIPALS = ['web', 'payment', 'keys', 'administrator'] as const;
export type PrincipalName = (typeof PRINCIPALS)[number];

/** Until the key policies are put, the administrator may read what keys there are and put them. */
const FIRST_RIGHTS = {
  Effect: 'Allow',
  Action: ['kms:DescribeKey', 'kms:PutKeyPolicy'],
  Resource: '*',
} as const;

/**
 * A KMS with the shop's KEKs, which nobody may use yet.
 * @param unsafeOnPlaintext Is told every data key, for tests that look for them in logs.
 */
export function startLocalKms(unsafeOnPlaintext?: (bytes: Buffer) => void): Promise<KmsEmulator> {
  return startKmsEmulator({
    ...(unsafeOnPlaintext && { unsafeOnPlaintext }),
    createKeys: Object.values(KEKS).flat(),
    policy: {
      principals: PRINCIPALS.map((name) => ({
        name,
        accessKeyId: randomBytes(10).toString('hex').toUpperCase(),
        secretAccessKey: randomBytes(20).toString('hex'),
        policy: { Statement: name === 'administrator' ? [FIRST_RIGHTS] : [] },
      })),
    },
  });
}

/** ARNs of the KEKs by purpose: policies name keys by ARN, since an alias can be pointed at another key. */
export async function kekArns(kms: KmsEmulator): Promise<Readonly<Record<string, readonly string[]>>> {
  const client = kmsClient(kms, 'administrator');
  try {
    const arnOf = async (KeyId: string): Promise<string> =>
      (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.Arn!;
    const byPurpose = Object.entries(KEKS).map(
      async ([purpose, aliases]) => [purpose, await Promise.all(aliases.map(arnOf))] as const,
    );
    return Object.fromEntries(await Promise.all(byPurpose));
  } finally {
    client.destroy();
  }
}

/** @param policies Key policies by ARN. From then on they alone decide who does what with these keys. */
export async function putKeyPolicies(
  kms: KmsEmulator,
  policies: Readonly<Record<string, unknown>>,
): Promise<void> {
  const client = kmsClient(kms, 'administrator');
  try {
    for (const [KeyId, policy] of Object.entries(policies))
      await client.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(policy) }));
  } finally {
    client.destroy();
  }
}

/** A client of the AWS SDK with the credentials of one principal. */
export function kmsClient(kms: KmsEmulator, principal: PrincipalName): KMSClient {
  const { region, endpoint } = kms;
  return new KMSClient({ region, endpoint, credentials: kms.credentials(principal), maxAttempts: 1 });
}

/** What the AWS SDK of a process with these credentials reads. */
export function kmsEnvironment(kms: KmsEmulator, principal: PrincipalName): Record<string, string> {
  const { accessKeyId, secretAccessKey } = kms.credentials(principal);
  return {
    AWS_REGION: kms.region,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
}
