/** Where each tier gets its keys: what it is not given here it cannot do. */
import {
  keyStoreSource,
  kmsSource,
  publicKeySource,
  type FieldSealOptions,
  type PublishingKeySource,
} from 'fieldseal';
import { awsKms, type AwsKmsOptions } from 'fieldseal/aws-kms';
import { postgresKeyStore } from 'fieldseal/postgres';
import { PublicKeyLists } from '../app/services/public-key-lists.js';
import type { KeysSettings, PaymentSettings, WebSettings } from './environment.js';
import { KEKS } from './purposes.js';

export type KeySource = FieldSealOptions['keys'];

/** How to reach the KMS. Default: what the AWS SDK finds, on AWS the role of the task, on this machine variables. */
export type KmsClient = Pick<AwsKmsOptions, 'endpoint' | 'credentials'>;

/** Keys that only seal: data keys that the KMS makes, and for sealed cards public keys from the lists. */
export function webKeys({ AWS_REGION, DATABASE_URL, LIST_VERIFICATION_KEY }: WebSettings): KeySource {
  const kms = shopKms(AWS_REGION, KEKS);
  if (LIST_VERIFICATION_KEY === undefined) return kmsSource({ kms });
  const lists = new PublicKeyLists(DATABASE_URL);
  const read = (purpose: string): Promise<string> => lists.read(purpose);
  return publicKeySource({ read, verificationKey: LIST_VERIFICATION_KEY, kms });
}

/** Keys that only open: those in the cells, which the KMS unwraps, and for sealed cards private keys from the key store. */
export function paymentKeys(
  { AWS_REGION, KEK_ARNS, KEY_STORE_URL }: Pick<PaymentSettings, 'AWS_REGION' | 'KEK_ARNS' | 'KEY_STORE_URL'>,
  client?: KmsClient,
): KeySource {
  const kms = shopKms(AWS_REGION, KEK_ARNS, client);
  if (KEY_STORE_URL === undefined) return kmsSource({ kms });
  return keyStoreSource({ store: postgresKeyStore({ connectionString: KEY_STORE_URL }), kms, manage: false });
}

/** The key store itself: this source makes key pairs, replaces them, and signs the list of their public halves. */
export function managedKeys({ AWS_REGION, KEY_STORE_URL }: KeysSettings): PublishingKeySource {
  const store = postgresKeyStore({ connectionString: KEY_STORE_URL });
  return keyStoreSource({ store, kms: shopKms(AWS_REGION, KEKS), manage: true });
}

function shopKms(region: string, keks: AwsKmsOptions['keks'], client: KmsClient = {}) {
  return awsKms({ ...client, region, keks, attempts: 2, timeouts: { totalMs: 4_000 } });
}
