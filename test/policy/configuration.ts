/** A configuration with every kind of purpose, over the keys of an emulator. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { EmulatorPolicy } from '../../src/kms/emulator/policy-file.js';
import type { AwsDocuments, PolicyDocument } from '../../src/policy/documents.js';
import { TIERS, type Tier } from '../../src/policy/settings.js';

const userArn = (name: string): string => `arn:aws:iam::000000000000:user/${name}`;

export const OPTIONS = {
  application: 'shop',
  environment: 'test',
  purposes: {
    'card-number': { delivery: { envelope: { reuse: { cells: 10, for: '1m' } } }, index: 'kms' },
    'personal-data': { delivery: 'sealed', index: 'later' },
    reports: { pool: { validKeys: 4 } },
  },
} as const;

/** Purposes whose keys are in the key store. */
export const STORED = ['personal-data', 'reports'] as const;

export interface Keys {
  readonly cardA: string;
  readonly cardB: string;
  readonly mac: string;
  readonly personal: string;
  readonly reportsA: string;
  readonly reportsB: string;
  readonly reportsOld: string;
  /** Of nobody here; its key policy leaves it to identity policies. */
  readonly foreign: string;
}

export const tiersOf = (keys: Keys) => ({
  keks: {
    'card-number': [keys.cardA, keys.cardB],
    'personal-data': [keys.personal],
    reports: [keys.reportsA, keys.reportsB],
  },
  openKeks: { reports: [keys.reportsOld] },
  macKeys: { 'card-number': keys.mac },
  principals: {
    app: userArn('app'),
    web: userArn('web'),
    payment: [userArn('payment')],
    keyService: userArn('key-service'),
    rewrap: userArn('rewrap'),
    administrators: userArn('administrators'),
  },
});

const EVERYTHING: PolicyDocument = {
  Version: '2012-10-17',
  Statement: [{ Sid: 'All', Effect: 'Allow', Action: 'kms:*', Resource: '*' }],
};

/** Who makes the keys, before any policy is put on them. */
export const SETUP = 'setup';

export class Account {
  readonly keys: Keys;
  readonly #folder: string;
  readonly #open: { close(): unknown }[] = [];

  private constructor(folder: string, keys: Keys) {
    this.#folder = folder;
    this.keys = keys;
  }

  /** Keys under the default policy of AWS. */
  static async open(): Promise<Account> {
    const folder = mkdtempSync(join(tmpdir(), 'fieldseal-policy-'));
    const kms = await startKmsEmulator({ stateFile: join(folder, 'keys.json'), policy: principals({}) });
    const sdk = clientOf(kms, SETUP);
    const make = async (KeySpec?: 'HMAC_256'): Promise<string> => {
      const KeyUsage = KeySpec && ('GENERATE_VERIFY_MAC' as const);
      const { KeyMetadata } = await sdk.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
      return KeyMetadata!.Arn!;
    };
    const keys: Keys = {
      cardA: await make(),
      cardB: await make(),
      mac: await make('HMAC_256'),
      personal: await make(),
      reportsA: await make(),
      reportsB: await make(),
      reportsOld: await make(),
      foreign: await make(),
    };
    sdk.destroy();
    await kms.close();
    return new Account(folder, keys);
  }

  /** A KMS with these keys, on which the given documents and no others were put. */
  async kms(documents: Partial<AwsDocuments>): Promise<KmsEmulator> {
    const stateFile = join(this.#folder, `${this.#open.length}.json`);
    copyFileSync(join(this.#folder, 'keys.json'), stateFile);
    const kms = await startKmsEmulator({
      stateFile,
      policy: principals(Object.fromEntries(documents.identityPolicies ?? [])),
    });
    this.#open.push(kms);
    const sdk = clientOf(kms, SETUP);
    for (const [KeyId, policy] of documents.keyPolicies ?? []) {
      const Policy = JSON.stringify(policy);
      await sdk.send(new PutKeyPolicyCommand({ KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }));
    }
    sdk.destroy();
    return kms;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((kms) => kms.close()));
    rmSync(this.#folder, { recursive: true });
  }
}

export function clientOf(kms: KmsEmulator, principal: string): KMSClient {
  const { region, endpoint } = kms;
  return new KMSClient({ region, endpoint, credentials: kms.credentials(principal), maxAttempts: 1 });
}

function principals(policies: Readonly<Partial<Record<Tier, PolicyDocument>>>): EmulatorPolicy {
  const all: Partial<Record<string, PolicyDocument>> = { ...policies, [SETUP]: EVERYTHING };
  return {
    principals: [...TIERS, SETUP].map((name, i) => ({
      name,
      accessKeyId: `POLICYPRINCIPAL${i}`,
      secretAccessKey: 'a-secret-of-the-tests-only',
      policy: all[name] ?? { Statement: [] },
    })),
  };
}
