/** Two tiers over one database: roles with the rights of each, and principals with the policies of each. */
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DataSource } from 'typeorm';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { PolicyStatement } from '../../src/kms/emulator/policy-file.js';
import type { AwsKmsOptions } from '../../src/kms/aws.js';
import type { PurposeOptions } from '../../src/index.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { newMacKey } from '../kms/mac-key.js';
import { newRole, type Role } from '../typeorm/role.js';
import { Card } from './card.js';

export const KEKS: Readonly<Record<string, readonly string[]>> = {
  'card-number': ['alias/card-a', 'alias/card-b'],
  'personal-data': ['alias/pii'],
};

export type Purposes = Readonly<Record<string, PurposeOptions>>;

export const purposesOf = (
  delivery: NonNullable<PurposeOptions['delivery']>,
  index: 'later' | 'kms' = 'later',
): Purposes => ({
  'card-number': { delivery, index, class: 'pan' },
  'personal-data': { delivery },
});

const ENVELOPES = {
  StringEquals: {
    'kms:EncryptionContext:application': 'shop',
    'kms:EncryptionContext:environment': 'test',
    'kms:EncryptionContext:kind': 'data',
    'kms:EncryptionContext:delivery': 'envelope',
  },
};

/** What a reader of a key store unwraps: its store key, its index keys, and key pairs. */
const STORED = {
  StringEquals: {
    'kms:EncryptionContext:application': 'shop',
    'kms:EncryptionContext:environment': 'test',
    'kms:EncryptionContext:kind': ['index', 'pair', 'store'],
    'kms:EncryptionContext:delivery': ['pool', 'sealed'],
  },
};

const STATEMENTS: Readonly<Record<string, readonly PolicyStatement[]>> = {
  web: [{ Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: '*', Condition: ENVELOPES }],
  'indexing-web': [
    { Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: '*', Condition: ENVELOPES },
    { Effect: 'Allow', Action: 'kms:GenerateMac', Resource: '*' },
  ],
  payment: [{ Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*', Condition: ENVELOPES }],
  'sealed-payment': [
    { Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*', Condition: STORED },
    { Effect: 'Allow', Action: 'kms:DescribeKey', Resource: '*' },
  ],
  'key-service': [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }],
};

export type Principal = 'web' | 'indexing-web' | 'payment' | 'sealed-payment' | 'key-service';

export interface Tiers {
  readonly kms: KmsEmulator;
  readonly database: FreshDatabase;
  readonly web: Role;
  readonly payment: Role;
  /** Every key that the KMS has handed out in the clear. */
  readonly roots: readonly Buffer[];
  kmsOptions(principal: Principal): AwsKmsOptions;
  close(): Promise<void>;
}

export async function openTiers(): Promise<Tiers> {
  const roots: Buffer[] = [];
  const principals = Object.entries(STATEMENTS).map(([name, Statement], i) => ({
    name,
    accessKeyId: `TIERPRINCIPAL${String(i).padStart(4, '0')}`,
    secretAccessKey: 'a-secret-of-the-tests-only',
    policy: { Statement },
  }));
  const [kms, database] = await Promise.all([
    startKmsEmulator({
      policy: { principals },
      createKeys: Object.values(KEKS).flat(),
      unsafeOnPlaintext: (bytes) => {
        recordKey(bytes);
        roots.push(bytes);
      },
    }),
    freshDatabase(),
  ]);
  await createTables(database);
  const arns = await arnsOf(kms);
  const macKeys = { 'card-number': await newMacKey(kms, 'HMAC_256', 'key-service') };
  const web = await newRole(database, 'INSERT ON cards', 'SELECT (id, serial, pan_mask) ON cards');
  const payment = await newRole(database, 'SELECT, UPDATE ON cards');
  return {
    ...{ kms, database, web, payment, roots },
    kmsOptions: (principal) => ({
      region: kms.region,
      endpoint: kms.endpoint,
      credentials: kms.credentials(principal),
      keks: principal === 'payment' ? arns : KEKS,
      macKeys,
    }),
    close: async () => {
      await web.drop();
      await payment.drop();
      await Promise.all([kms.close(), database.drop()]);
    },
  };
}

/** Who may do nothing but Decrypt has to know the ARNs. */
async function arnsOf(kms: KmsEmulator): Promise<Readonly<Record<string, readonly string[]>>> {
  const { region, endpoint } = kms;
  const client = new KMSClient({ region, endpoint, credentials: kms.credentials('key-service') });
  const arnOf = async (KeyId: string): Promise<string> =>
    (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.Arn!;
  const entries = Object.entries(KEKS).map(async ([purpose, names]) => {
    return [purpose, await Promise.all(names.map(arnOf))] as const;
  });
  const arns = Object.fromEntries(await Promise.all(entries));
  client.destroy();
  return arns;
}

/** As a migration does, which has no key. */
async function createTables({ url }: FreshDatabase): Promise<void> {
  const dataSource = new DataSource({ type: 'postgres', url, entities: [Card] });
  await attachFieldSeal(dataSource, 'schema-only').initialize();
  await dataSource.synchronize();
  await dataSource.destroy();
}
