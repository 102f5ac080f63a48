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
  /** Names of KEKs that have not answered yet. */
  readonly missing: readonly string[];
}

type Emit = (event: FieldSealEvent) => void;

/** What a KEK must be. AWS's words; SYMMETRIC_DEFAULT is AES-256-GCM. */
const REQUIRED = { KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' } as const;

/**
 * Describes each KEK once, however many purposes have it, and tells once of those that do not answer or will go.
 * `isStart`: a KEK of `keks` that is not enabled is a mistake in the configuration; later it is an alarm.
 */
export class KekLook {
  readonly #calls: AwsCalls;
  readonly #emit: Emit;
  readonly isStart: boolean;
  readonly #described = new Map<string, Promise<Outcome<ResolvedKek>>>();

  constructor(calls: AwsCalls, emit: Emit, isStart: boolean) {
    this.#calls = calls;
    this.#emit = emit;
    this.isStart = isStart;
  }

  /** @throws KmsError `ERR_KMS_KEK_UNUSABLE` for a key that is no KEK. */
  describe(name: string): Promise<Outcome<ResolvedKek>> {
    let described = this.#described.get(name);
    if (described === undefined) {
      described = this.#describe(name);
      this.#described.set(name, described);
    }
    return described;
  }

  async #describe(name: string): Promise<Outcome<ResolvedKek>> {
    const outcome = await describe(this.#calls, name);
    if ('error' in outcome) this.#tell(name, outcome.error);
    else if (outcome.answer.state !== 'Enabled') this.#emit(goneSoon(name, outcome.answer));
    return outcome;
  }

  #tell(name: string, error: KmsError): void {
    const { code, message, retryable } = error;
    if (retryable) this.#emit(silentKek(name, error));
    else if (code === 'ERR_KMS_KEK_UNUSABLE') this.#emit({ type: 'warning', code, message });
  }
}

/**
 * The KEKs of a purpose, without those that do not answer now while one of `keks` does; an ARN is taken at its word for
 * unwrapping. One DescribeKey per KEK. A retired KEK that is gone gives a warning: the other KEKs still open.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError.
 */
export async function resolveKeks(
  look: KekLook,
  settings: AwsKmsSettings,
  purpose: string,
): Promise<PurposeKeks> {
  const [current, retired] = await Promise.all([
    lookAt(look, namesOf(settings, purpose)),
    lookAt(look, settings.openKeks.get(purpose) ?? []),
  ]);
  const wrapping = enabled(current.answered, look, purpose);
  refuseFinal(current.failed);
  refuseFinal(retired.failed.filter(({ error }) => error.code !== 'ERR_KMS_KEK_UNUSABLE'));
  if (wrapping.length === 0 && current.failed[0] !== undefined) throw current.failed[0].error;
  const failed = [...current.failed, ...retired.failed].filter(({ error }) => error.retryable);
  const answered = [...current.answered, ...retired.answered].map(({ arn }) => arn);
  return {
    wrapping: [...new Set(wrapping)],
    unwrapping: new Set([...answered, ...failed.map(({ name }) => name).filter(isKeyArn)]),
    missing: failed.map(({ name }) => name),
  };
}

/**
 * For a process that only opens, which may not describe a KEK: an ARN is taken at its word, since the KMS refuses a wrap
 * that is of another KEK. KEKs that no longer wrap, or are gone, open or fail by themselves.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError for a name that has to be resolved.
 */
export async function resolveReadOnly(
  look: KekLook,
  settings: AwsKmsSettings,
  purpose: string,
): Promise<PurposeKeks> {
  const names = [...namesOf(settings, purpose), ...(settings.openKeks.get(purpose) ?? [])];
  const arns = names.filter(isKeyArn);
  const { answered, failed } = await lookAt(
    look,
    names.filter((name) => !isKeyArn(name)),
  );
  refuseFinal(failed.filter(({ error }) => error.code !== 'ERR_KMS_KEK_UNUSABLE'));
  const unwrapping = new Set([...arns, ...answered.map(({ arn }) => arn)]);
  const silent = failed.filter(({ error }) => error.retryable);
  if (unwrapping.size === 0 && silent[0] !== undefined) throw silent[0].error;
  return { wrapping: [], unwrapping, missing: silent.map(({ name }) => name) };
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

interface Looked {
  readonly answered: readonly (ResolvedKek & { readonly name: string })[];
  readonly failed: readonly { readonly name: string; readonly error: KmsError }[];
}

async function lookAt(look: KekLook, names: readonly string[]): Promise<Looked> {
  const outcomes = await Promise.all(
    names.map(async (name) => ({ name, outcome: await look.describe(name) })),
  );
  return {
    answered: outcomes.flatMap(({ name, outcome }) =>
      'answer' in outcome ? [{ name, ...outcome.answer }] : [],
    ),
    failed: outcomes.flatMap(({ name, outcome }) =>
      'error' in outcome ? [{ name, error: outcome.error }] : [],
    ),
  };
}

function enabled(answered: Looked['answered'], { isStart }: KekLook, purpose: string): readonly string[] {
  const other = answered.find(({ state }) => state !== 'Enabled');
  if (other !== undefined && isStart) {
    throw new KmsError(
      'ERR_KMS_KEK_UNUSABLE',
      `${other.name} for purpose "${purpose}": expected key state Enabled, got ${other.state}; enable the KEK, or move it from awsKms.keks to awsKms.openKeks.`,
    );
  }
  return answered.filter(({ state }) => state === 'Enabled').map(({ arn }) => arn);
}

function refuseFinal(failed: Looked['failed']): void {
  const final = failed.find(({ error }) => !error.retryable);
  if (final !== undefined) throw final.error;
}

/** The alarm of a KEK whose KMS does not answer. */
export function silentKek(name: string, { code, message }: KmsError): FieldSealEvent {
  const what = `${name} does not answer: nothing new is put under it, and what it wraps cannot be unwrapped, until it does; it is asked again every minute.`;
  return { type: 'alarm', code, message: `${what} ${message}` };
}

function goneSoon(name: string, { arn, state, deletion }: ResolvedKek): FieldSealEvent {
  const when = deletion === undefined ? '' : ` (on ${deletion.toISOString()})`;
  const advice =
    state === 'PendingDeletion'
      ? 'every key under it, and every cell under those, is lost when it is deleted: cancel the deletion now (kms:CancelKeyDeletion, kms:EnableKey)'
      : 'keys under it cannot be unwrapped; enable it';
  const message = `KEK ${name} (${arn}): expected key state Enabled, got ${state}${when}; ${advice}.`;
  return { type: 'alarm', code: 'ERR_KMS_KEK_UNUSABLE', message };
}

interface ResolvedKek {
  readonly arn: string;
  readonly state: string;
  /** When it will be deleted. */
  readonly deletion: Date | undefined;
}

async function describe(calls: AwsCalls, name: string): Promise<Outcome<ResolvedKek>> {
  const call: AwsCall<{ readonly KeyMetadata?: KeyMetadata | undefined }> = {
    operation: 'DescribeKey',
    kek: name,
    reason: 'the purposes that have it in awsKms',
    advice: {
      ERR_KMS_DENIED:
        'check the credentials, the key policy and the IAM policy of this process; one that only reads needs no ' +
        'DescribeKey where its KEKs are named by ARN',
    },
    send: (client, sdk, options) => client.send(new sdk.DescribeKeyCommand({ KeyId: name }), options),
  };
  const outcome = await calls.make(call);
  if ('error' in outcome) return outcome;
  const {
    Arn: arn,
    KeyState: state,
    KeySpec,
    KeyUsage,
    DeletionDate: deletion,
  } = outcome.answer.KeyMetadata ?? {};
  if (arn === undefined || !isKeyArn(arn) || state === undefined) {
    return calls.fail(BAD_ANSWER, call, 'expected KeyMetadata with a key ARN and a state, got none');
  }
  if (KeySpec !== REQUIRED.KeySpec || KeyUsage !== REQUIRED.KeyUsage) {
    throw new KmsError(
      'ERR_KMS_KEK_UNUSABLE',
      `${name}: expected a ${REQUIRED.KeySpec} key for ${REQUIRED.KeyUsage}, got ${KeySpec ?? 'no spec'} for ${KeyUsage ?? 'no usage'}; name another key in awsKms.keks.`,
    );
  }
  return { answer: { arn, state, deletion } };
}
