/** KEKs in AWS KMS, spoken to with the AWS SDK. */
import { ConfigError, isFieldSealError, KmsError } from '../errors.js';
import { systemClock } from '../keys/clock.js';
import type { FieldSealEvent } from '../keys/events.js';
import type {
  Clock,
  EnvelopeRoot,
  GeneratedPair,
  GeneratedRoot,
  KekProvider,
  KeyScope,
  Privilege,
  Wrap,
  WrapContext,
} from '../keys/ports.js';
import type { StoreContext } from '../keys/store-contexts.js';
import { isKeyArn } from './arn.js';
import { generateMac } from './aws-macs.js';
import { PAIR_SIZE, ROOT_SIZE } from './aws-answers.js';
import type { KeySize } from './aws-answers.js';
import { answerOf, AwsCalls, loadAwsSdk } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { KekLook, resolveKeks, resolveReadOnly } from './aws-keks.js';
import type { PurposeKeks } from './aws-keks.js';
import { parseAwsKmsOptions } from './aws-options.js';
import type { AwsKmsOptions, AwsKmsSettings } from './aws-options.js';
import { notDenied } from './aws-privileges.js';
import { AwsWraps } from './aws-wraps.js';
import { KekWatch } from './kek-watch.js';
import { SilentKeks } from './silent-keks.js';
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
 *
 * A process starts with the KEKs that answer, at least one of `keks` for each purpose, and an alarm for each other one, which
 * is asked again every minute. Once a day all are looked at again: a KEK that is disabled or pending deletion is an alarm.
 * @param clock Fires these looks; replaced in tests.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function awsKms(options: AwsKmsOptions, clock: Clock = systemClock): KekProvider {
  return new AwsKms(parseAwsKmsOptions(options), clock);
}

type Emit = (event: FieldSealEvent) => void;

type Resolver = (isStart: boolean) => (purpose: string) => Promise<PurposeKeks>;

class AwsKms implements KekProvider {
  readonly #settings: AwsKmsSettings;
  readonly #clock: Clock;
  readonly #silent = new SilentKeks();
  #watch: KekWatch | undefined;
  readonly #keks = new Map<string, PurposeKeks>();
  #calls: AwsCalls | undefined;
  /** Not there in a process that was started write-only. */
  #wraps: AwsWraps | undefined;
  #closed = false;

  constructor(settings: AwsKmsSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  async start(purposes: readonly string[], listener: Emit): Promise<void> {
    const emit = this.#untilClosed(listener);
    const calls = await this.#connect(emit);
    this.#wraps = new AwsWraps(calls, this.#settings.parallelUnwraps);
    await this.#watchKeks(purposes, emit, (isStart) => {
      const look = new KekLook(calls, emit, isStart);
      return (purpose) => resolveKeks(look, this.#settings, purpose);
    });
  }

  async startWriteOnly(scopes: readonly KeyScope[], listener: Emit): Promise<void> {
    const emit = this.#untilClosed(listener);
    const calls = await this.#connect(emit);
    const byPurpose = new Map(scopes.map((scope) => [scope.purpose, scope]));
    await this.#watchKeks(
      [...byPurpose.keys()],
      emit,
      () => (purpose) => resolveWriteOnly(calls, this.#settings, byPurpose.get(purpose)!, emit),
    );
  }

  async startReadOnly(purposes: readonly string[], listener: Emit): Promise<void> {
    const emit = this.#untilClosed(listener);
    const calls = await this.#connect(emit);
    this.#wraps = new AwsWraps(calls, this.#settings.parallelUnwraps);
    await this.#watchKeks(purposes, emit, (isStart) => {
      const look = new KekLook(calls, emit, isStart);
      return (purpose) => resolveReadOnly(look, this.#settings, purpose);
    });
  }

  keks(purpose: string): readonly string[] {
    return this.#silent.answering(this.#keksOf(purpose).wrapping);
  }

  missingKeks(purpose: string): readonly string[] {
    return this.#keksOf(purpose).missing;
  }

  silentKeks(purpose: string): readonly string[] {
    const { unwrapping, missing } = this.#keksOf(purpose);
    const silent = [...unwrapping].filter((kek) => missing.includes(kek) || this.#silent.has(kek));
    return silent.length < unwrapping.size ? silent : [];
  }

  openKeks(purpose: string): readonly string[] {
    return [...this.#keksOf(purpose).unwrapping];
  }

  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    const wraps = this.#wrapsOf(context.purpose);
    this.#checkWrapping(kek, context.purpose);
    return this.#heard([kek], wraps.generate(kek, context));
  }

  unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    return this.#unwrapFirst(wraps, context, ROOT_SIZE);
  }

  async generateEnvelope(kek: string, scope: KeyScope): Promise<EnvelopeRoot> {
    this.#checkWrapping(kek, scope.purpose);
    const making = generateDataKey(this.#started(), kek, envelopeContext(scope)).then(answerOf);
    const { root, wrapped } = await this.#heard([kek], making);
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
    return this.#heard([kek], wraps.generatePair(kek, context));
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

  hasMacKey(purpose: string, version: number): boolean {
    return arnOf(this.#settings.macKeys.get(purpose), version) !== undefined;
  }

  async notDenied(scope: KeyScope, stored?: readonly StoreContext[]): Promise<readonly Privilege[]> {
    return notDenied(this.#started(), this.#keksOf(scope.purpose).wrapping, scope, stored);
  }

  calls(): Readonly<Record<string, number>> {
    return this.#calls?.counts() ?? {};
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#watch?.stop();
    this.#calls?.close();
    return Promise.resolve();
  }

  /** Calls that the close ends fail, and that is no news of a KEK. */
  #untilClosed(emit: Emit): Emit {
    return (event) => {
      if (!this.#closed) emit(event);
    };
  }

  async #connect(emit: Emit): Promise<AwsCalls> {
    const sdk = await loadAwsSdk();
    if (this.#closed) throw closed();
    this.#calls = new AwsCalls(this.#settings, sdk, emit);
    return this.#calls;
  }

  /** Looks at the KEKs of all purposes, now and again later. `resolver` makes one look, at which each KEK is asked once. */
  async #watchKeks(purposes: readonly string[], emit: Emit, resolver: Resolver): Promise<void> {
    await this.#lookAt(purposes, resolver(true));
    if (this.#closed) throw closed();
    this.#watch = new KekWatch(this.#clock, async () => {
      const resolve = resolver(false);
      try {
        await this.#lookAt(purposes, resolve);
      } catch (error) {
        // What was known stays in use; every wrap goes by what its own KEK answers.
        if (isFieldSealError(error)) emit({ type: 'alarm', code: error.code, message: error.message });
      }
      return this.#haveAllAnswered();
    });
    this.#watch.wait(this.#haveAllAnswered());
  }

  async #lookAt(
    purposes: readonly string[],
    resolve: (purpose: string) => Promise<PurposeKeks>,
  ): Promise<void> {
    await Promise.all(
      purposes.map(async (purpose) => {
        const found = await resolve(purpose);
        const known = this.#keks.get(purpose);
        const unwrapping = new Set([...(known?.unwrapping ?? []), ...found.unwrapping]);
        // One KEK that has stopped to wrap is better than none to name in errors.
        const wrapping = found.wrapping.length > 0 ? found.wrapping : (known?.wrapping ?? []);
        this.#keks.set(purpose, { wrapping, unwrapping, missing: found.missing });
      }),
    );
  }

  #haveAllAnswered(): boolean {
    return [...this.#keks.values()].every(({ missing }) => missing.length === 0);
  }

  /** Remembers KEKs that did not answer, so that the next key is put, or looked for, under another one. */
  async #heard<T>(keks: readonly string[], answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (isFieldSealError(error) && error.retryable) for (const kek of keks) this.#silent.note(kek);
      throw error;
    }
  }

  async #unwrapFirst(
    list: readonly Wrap[],
    context: Omit<WrapContext, 'wrapId'>,
    size: KeySize,
  ): Promise<Buffer> {
    const wraps = this.#wrapsOf(context.purpose);
    const keks = list.map(({ kek }) => kek);
    this.#checkUnwrapping(keks, context.purpose);
    return this.#heard(keks, wraps.unwrapFirst(list, context, size));
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
    const { unwrapping, missing } = this.#keksOf(purpose);
    const foreign = keks.find((kek) => !unwrapping.has(kek));
    if (foreign === undefined) return;
    throw missing.length > 0
      ? notAnswered(missing, purpose)
      : notConfigured(foreign, purpose, 'keks and openKeks');
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

/** The name that a KEK has in wraps is not known before it has answered. */
function notAnswered(missing: readonly string[], purpose: string): KmsError {
  return new KmsError(
    'ERR_KMS_UNAVAILABLE',
    `Purpose "${purpose}": ${missing.join(', ')} did not answer yet, and may be the KEK of this wrap; name KEKs by ARN, or wait for it.`,
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
