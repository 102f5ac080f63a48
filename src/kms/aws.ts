/** KEKs in AWS KMS, spoken to with the AWS SDK. */
import { ConfigError, KmsError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type {
  EnvelopeRoot,
  GeneratedPair,
  GeneratedRoot,
  KekProvider,
  KeyScope,
  Privilege,
  Wrap,
  WrapContext,
} from '../keys/ports.js';
import { isKeyArn } from './arn.js';
import { generateMac } from './aws-macs.js';
import { PAIR_SIZE, ROOT_SIZE } from './aws-answers.js';
import type { KeySize } from './aws-answers.js';
import { answerOf, AwsCalls, loadAwsSdk } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { resolveKeks, resolveReadOnly } from './aws-keks.js';
import type { PurposeKeks } from './aws-keks.js';
import { parseAwsKmsOptions } from './aws-options.js';
import type { AwsKmsOptions, AwsKmsSettings } from './aws-options.js';
import { notDenied } from './aws-privileges.js';
import { AwsWraps } from './aws-wraps.js';
import { resolveWriteOnly } from './aws-write-only.js';
import { arnOf } from './mac-keys.js';
import { envelopeContext } from './wrap-context.js';

export type { AwsCredentials, AwsKmsOptions } from './aws-options.js';

/**
 * KEKs in AWS KMS, for `keyStoreSource({ kms })`. No call is made before `start`.
 *
 * Needs the package `@aws-sdk/client-kms` and, for each KEK, kms:DescribeKey, for those in `keks` kms:GenerateDataKey
 * (and kms:GenerateDataKeyPairWithoutPlaintext for key pairs), and to open kms:Decrypt; started write-only
 * kms:GenerateDataKey alone; for each key of `macKeys` kms:GenerateMac. The SDK decodes answers through strings, which nobody can wipe; everything after that is
 * wiped.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function awsKms(options: AwsKmsOptions): KekProvider {
  return new AwsKms(parseAwsKmsOptions(options));
}

class AwsKms implements KekProvider {
  readonly #settings: AwsKmsSettings;
  readonly #keks = new Map<string, PurposeKeks>();
  #calls: AwsCalls | undefined;
  /** Not there in a process that was started write-only. */
  #wraps: AwsWraps | undefined;
  #closed = false;

  constructor(settings: AwsKmsSettings) {
    this.#settings = settings;
  }

  async start(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    const calls = await this.#connect(emit);
    this.#wraps = new AwsWraps(calls, this.#settings.parallelUnwraps);
    await Promise.all(
      purposes.map(async (purpose) => {
        this.#keks.set(purpose, await resolveKeks(calls, this.#settings, purpose, emit));
      }),
    );
  }

  async startWriteOnly(scopes: readonly KeyScope[], emit: (event: FieldSealEvent) => void): Promise<void> {
    const calls = await this.#connect(emit);
    await Promise.all(
      scopes.map(async (scope) => {
        this.#keks.set(scope.purpose, await resolveWriteOnly(calls, this.#settings, scope));
      }),
    );
  }

  async startReadOnly(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    const calls = await this.#connect(emit);
    this.#wraps = new AwsWraps(calls, this.#settings.parallelUnwraps);
    await Promise.all(
      purposes.map(async (purpose) => {
        this.#keks.set(purpose, await resolveReadOnly(calls, this.#settings, purpose, emit));
      }),
    );
  }

  keks(purpose: string): readonly string[] {
    return this.#keksOf(purpose).wrapping;
  }

  openKeks(purpose: string): readonly string[] {
    return [...this.#keksOf(purpose).unwrapping];
  }

  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    const wraps = this.#wrapsOf(context.purpose);
    this.#checkWrapping(kek, context.purpose);
    return wraps.generate(kek, context);
  }

  unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    return this.#unwrapFirst(wraps, context, ROOT_SIZE);
  }

  async generateEnvelope(kek: string, scope: KeyScope): Promise<EnvelopeRoot> {
    this.#checkWrapping(kek, scope.purpose);
    const outcome = await generateDataKey(this.#started(), kek, envelopeContext(scope));
    const { root, wrapped } = answerOf(outcome);
    return { root, kek, wrapped };
  }

  async unwrapEnvelope(kek: string, wrapped: Uint8Array, scope: KeyScope): Promise<Buffer> {
    const wraps = this.#wrapsOf(scope.purpose);
    this.#checkUnwrapping([kek], scope.purpose);
    return wraps.unwrapOnly(kek, wrapped, envelopeContext(scope));
  }

  async generatePair(kek: string, context: WrapContext): Promise<GeneratedPair> {
    const wraps = this.#wrapsOf(context.purpose);
    this.#checkWrapping(kek, context.purpose);
    return wraps.generatePair(kek, context);
  }

  unwrapPair(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    return this.#unwrapFirst(wraps, context, PAIR_SIZE);
  }

  async mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    if (this.#closed) throw closed();
    const key = arnOf(this.#settings.macKeys.get(purpose), version);
    if (key === undefined) throw noMacKey(purpose, version);
    return generateMac(this.#started(), key, purpose, message);
  }

  async notDenied(scope: KeyScope): Promise<readonly Privilege[]> {
    return notDenied(this.#started(), this.keks(scope.purpose), scope);
  }

  calls(): Readonly<Record<string, number>> {
    return this.#calls?.counts() ?? {};
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#calls?.close();
    return Promise.resolve();
  }

  async #connect(emit: (event: FieldSealEvent) => void): Promise<AwsCalls> {
    const sdk = await loadAwsSdk();
    if (this.#closed) throw closed();
    this.#calls = new AwsCalls(this.#settings, sdk, emit);
    return this.#calls;
  }

  async #unwrapFirst(
    list: readonly Wrap[],
    context: Omit<WrapContext, 'wrapId'>,
    size: KeySize,
  ): Promise<Buffer> {
    const wraps = this.#wrapsOf(context.purpose);
    this.#checkUnwrapping(
      list.map(({ kek }) => kek),
      context.purpose,
    );
    return wraps.unwrapFirst(list, context, size);
  }

  #started(): AwsCalls {
    if (this.#calls === undefined)
      throw new KmsError('ERR_KMS_UNAVAILABLE', 'awsKms is not started; await start() first.');
    return this.#calls;
  }

  #wrapsOf(purpose: string): AwsWraps {
    this.#keksOf(purpose); // a purpose that is not there is told first
    if (this.#wraps === undefined) throw writeOnly();
    return this.#wraps;
  }

  #checkWrapping(kek: string, purpose: string): void {
    if (!this.#keksOf(purpose).wrapping.includes(kek)) throw notConfigured(kek, purpose, 'keks');
  }

  #checkUnwrapping(keks: readonly string[], purpose: string): void {
    const { unwrapping } = this.#keksOf(purpose);
    const foreign = keks.find((kek) => !unwrapping.has(kek));
    if (foreign !== undefined) throw notConfigured(foreign, purpose, 'keks and openKeks');
  }

  #keksOf(purpose: string): PurposeKeks {
    if (this.#closed) throw closed();
    const keks = this.#keks.get(purpose);
    if (keks !== undefined) return keks;
    throw new KmsError(
      'ERR_KMS_KEK_NOT_CONFIGURED',
      `Purpose "${purpose}" has no KEK: expected one of ${[...this.#keks.keys()].join(', ') || 'none yet, start() was not called'}; add it to awsKms.keks.`,
    );
  }
}

function notConfigured(kek: string, purpose: string, list: string): KmsError {
  const got = isKeyArn(kek) ? kek : `a name of ${kek.length} characters that is no key ARN`;
  return new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${purpose}": expected a KEK of awsKms ${list}, got ${got}; a wrap may only name configured KEKs.`,
  );
}

function noMacKey(purpose: string, version: number): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `awsKms.macKeys.${purpose}: expected the ARN of an HMAC_256 key for version ${version} of the blind index, got none; ` +
      "purposes with index: 'kms' have their indexes made under it.",
  );
}

function writeOnly(): KmsError {
  return new KmsError(
    'ERR_KMS_WRITE_ONLY',
    'awsKms was started write-only: it makes data keys for envelopes and does nothing else; open values and manage keys in another process.',
  );
}

function closed(): KmsError {
  return new KmsError('ERR_KMS_UNAVAILABLE', 'awsKms: the KEK provider was closed; make a new one.');
}
