/** The configured KEKs of a purpose, resolved from their names to key ARNs and checked. */
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { KmsError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import { optionError } from '../keys/options.js';
import { isKeyArn } from './arn.js';
import type { AwsCall, AwsCalls, Outcome } from './aws-calls.js';
import { BAD_ANSWER } from './aws-failures.js';
import type { AwsKmsSettings } from './aws-options.js';

/** KEKs of one purpose as key ARNs. */
export interface PurposeKeks {
  /** May wrap new keys. */
  readonly wrapping: readonly string[];
  /** May unwrap: the wrapping ones and the retired ones. */
  readonly unwrapping: ReadonlySet<string>;
}

/** What a KEK must be. AWS's words; SYMMETRIC_DEFAULT is AES-256-GCM. */
const REQUIRED = { KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' } as const;

/**
 * One DescribeKey per configured KEK. A retired KEK that is gone gives a warning: the other KEKs still open.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError.
 */
export async function resolveKeks(
  calls: AwsCalls,
  settings: AwsKmsSettings,
  purpose: string,
  emit: (event: FieldSealEvent) => void,
): Promise<PurposeKeks> {
  const names = namesOf(settings, purpose);
  const [wrapping, retired] = await Promise.all([
    Promise.all(names.map((name) => resolveWrapping(calls, name, purpose))),
    Promise.all(
      (settings.openKeks.get(purpose) ?? []).map((name) => resolveRetired(calls, name, purpose, emit)),
    ),
  ]);
  return {
    wrapping: [...new Set(wrapping)],
    unwrapping: new Set([...wrapping, ...retired.filter((arn) => arn !== undefined)]),
  };
}

/**
 * For a process that only opens, which may not describe a KEK: an ARN is taken at its word, since the KMS refuses a wrap
 * that is of another KEK. KEKs that no longer wrap, or are gone, open or fail by themselves.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError for a name that has to be resolved.
 */
export async function resolveReadOnly(
  calls: AwsCalls,
  settings: AwsKmsSettings,
  purpose: string,
  emit: (event: FieldSealEvent) => void,
): Promise<PurposeKeks> {
  const names = [...namesOf(settings, purpose), ...(settings.openKeks.get(purpose) ?? [])];
  const arns = await Promise.all(
    names.map(async (name) => (isKeyArn(name) ? name : resolveRetired(calls, name, purpose, emit))),
  );
  return { wrapping: [], unwrapping: new Set(arns.filter((arn) => arn !== undefined)) };
}

/** @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK. */
export function namesOf(settings: AwsKmsSettings, purpose: string): readonly string[] {
  const names = settings.keks.get(purpose);
  if (names !== undefined) return names;
  throw optionError(
    `awsKms.keks.${purpose}`,
    "a list of KEKs, such as ['alias/card-a', 'alias/card-b']",
    'nothing',
  );
}

async function resolveWrapping(calls: AwsCalls, name: string, purpose: string): Promise<string> {
  const outcome = await describe(calls, name, purpose);
  if ('error' in outcome) throw outcome.error;
  if (outcome.answer.state !== 'Enabled') {
    throw new KmsError(
      'ERR_KMS_KEK_UNUSABLE',
      `${name} for purpose "${purpose}": expected key state Enabled, got ${outcome.answer.state}; enable the KEK, or move it from awsKms.keks to awsKms.openKeks.`,
    );
  }
  return outcome.answer.arn;
}

async function resolveRetired(
  calls: AwsCalls,
  name: string,
  purpose: string,
  emit: (event: FieldSealEvent) => void,
): Promise<string | undefined> {
  const outcome = await describe(calls, name, purpose);
  if ('answer' in outcome) return outcome.answer.arn;
  if (outcome.error.code !== 'ERR_KMS_KEK_UNUSABLE') throw outcome.error;
  emit({ type: 'warning', code: outcome.error.code, message: outcome.error.message });
  return undefined;
}

interface ResolvedKek {
  readonly arn: string;
  readonly state: string;
}

async function describe(calls: AwsCalls, name: string, purpose: string): Promise<Outcome<ResolvedKek>> {
  const call: AwsCall<{ readonly KeyMetadata?: KeyMetadata | undefined }> = {
    operation: 'DescribeKey',
    kek: name,
    reason: `purpose "${purpose}"`,
    advice: {
      ERR_KMS_DENIED:
        'check the credentials, the key policy and the IAM policy of this process; one that only reads needs no ' +
        'DescribeKey where its KEKs are named by ARN',
    },
    send: (client, sdk, options) => client.send(new sdk.DescribeKeyCommand({ KeyId: name }), options),
  };
  const outcome = await calls.make(call);
  if ('error' in outcome) return outcome;
  const { Arn: arn, KeyState: state, KeySpec, KeyUsage } = outcome.answer.KeyMetadata ?? {};
  if (arn === undefined || !isKeyArn(arn) || state === undefined) {
    return calls.fail(BAD_ANSWER, call, 'expected KeyMetadata with a key ARN and a state, got none');
  }
  if (KeySpec !== REQUIRED.KeySpec || KeyUsage !== REQUIRED.KeyUsage) {
    throw new KmsError(
      'ERR_KMS_KEK_UNUSABLE',
      `${name} for purpose "${purpose}": expected a ${REQUIRED.KeySpec} key for ${REQUIRED.KeyUsage}, got ${KeySpec ?? 'no spec'} for ${KeyUsage ?? 'no usage'}; name another key in awsKms.keks.`,
    );
  }
  return { answer: { arn, state } };
}
