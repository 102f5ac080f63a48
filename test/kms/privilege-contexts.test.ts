/** Credentials that can read by another way than Decrypt of an envelope cell, at the start of a write-only process. */
import { describe, expect, it } from 'vitest';
import { createFieldSeal, kmsSource, type FieldSeal, type PurposeOptions } from '../../src/index.js';
import { awsKms } from '../../src/kms/aws.js';
import type { PolicyStatement } from '../../src/kms/emulator/policy-file.js';
import { after, CARD_KEKS, emulator, failure, optionsFor, policyWith, SCOPE } from './kms.js';

type Condition = PolicyStatement['Condition'];

const statement = (Effect: 'Allow' | 'Deny', Action: string, Condition?: Condition): PolicyStatement => ({
  Effect,
  Action,
  Resource: '*',
  ...(Condition === undefined ? {} : { Condition }),
});

const ENVELOPES: Condition = { StringEquals: { 'kms:EncryptionContext:delivery': 'envelope' } };
const READS_POOLS = { accept: { deliveries: ['envelope', 'pool'] } } as const;

async function start(purpose: PurposeOptions, ...statements: PolicyStatement[]): Promise<FieldSeal> {
  const web = [statement('Allow', 'kms:GenerateDataKey'), ...statements];
  const kms = await emulator({ createKeys: CARD_KEKS, policy: policyWith({ web }) });
  const seal = await createFieldSeal({
    ...{ application: SCOPE.application, environment: SCOPE.environment, access: 'write-only' },
    purposes: { [SCOPE.purpose]: { delivery: 'envelope', ...purpose } },
    keys: kmsSource({ kms: awsKms({ ...optionsFor(kms), credentials: kms.credentials('web') }) }),
  });
  after(() => seal.close());
  return seal;
}

describe('a write-only process does not start with credentials that', () => {
  const allButEnvelopes = [statement('Allow', 'kms:Decrypt'), statement('Deny', 'kms:Decrypt', ENVELOPES)];

  it('decrypt what is no envelope cell, while its purpose accepts cells of pools', async () => {
    const error = await failure('ERR_KMS_TOO_MUCH_PRIVILEGE', start(READS_POOLS, ...allButEnvelopes));
    expect(error.message).toContain('kind data, delivery pool');
    expect(error.message).toContain('kind store, delivery pool');
    expect(error.message).toContain('PutKeyPolicy');
  });

  it('decrypt key pairs, while its purpose accepts cells sealed to them', async () => {
    const purpose: PurposeOptions = { accept: { deliveries: ['envelope', 'sealed'] } };
    const error = await failure('ERR_KMS_TOO_MUCH_PRIVILEGE', start(purpose, ...allButEnvelopes));
    expect(error.message).toContain('kind pair, delivery sealed');
  });

  it('decrypt the index key that others search by', async () => {
    const error = await failure('ERR_KMS_TOO_MUCH_PRIVILEGE', start({ index: 'later' }, ...allButEnvelopes));
    expect(error.message).toContain('kind index, delivery pool');
  });

  it('give the right to decrypt away', async () => {
    const error = await failure(
      'ERR_KMS_TOO_MUCH_PRIVILEGE',
      start({}, statement('Allow', 'kms:CreateGrant')),
    );
    expect(error.message).toContain('CreateGrant under');
  });
});

it('a write-only process starts with GenerateDataKey alone, whatever its purpose accepts', async () => {
  await start({ accept: { deliveries: ['envelope', 'pool', 'sealed'] }, index: 'later' });
});
