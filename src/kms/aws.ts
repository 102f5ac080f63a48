/** KEKs in AWS KMS, spoken to with the AWS SDK. */
import type { DecryptResponse, GenerateDataKeyResponse } from '@aws-sdk/client-kms';
import { KmsError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type { GeneratedRoot, KekProvider, Wrap, WrapContext } from '../keys/ports.js';
import { isKeyArn } from './arn.js';
import { AtMost } from './at-most.js';
import { AwsCalls, loadAwsSdk } from './aws-calls.js';
import type { AwsCall, Outcome } from './aws-calls.js';
import { BAD_ANSWER, WRAP_REFUSED } from './aws-failures.js';
import { resolveKeks } from './aws-keks.js';
import type { PurposeKeks } from './aws-keks.js';
import { parseAwsKmsOptions } from './aws-options.js';
import type { AwsKmsOptions, AwsKmsSettings } from './aws-options.js';

export type { AwsCredentials, AwsKmsOptions } from './aws-options.js';

/** Root of a DEK, bytes. */
const ROOT_BYTES = 32;

/** Longest CiphertextBlob, bytes (AWS KMS API Reference, Decrypt). */
const MAX_WRAPPED_BYTES = 6_144;

/**
 * KEKs in AWS KMS, for `keyStoreSource({ kms })`. No call is made before `start`.
 *
 * Needs the package `@aws-sdk/client-kms` and, for each KEK, kms:DescribeKey, for those in `keks` kms:GenerateDataKey,
 * and to open kms:Decrypt. The SDK decodes answers through strings, which nobody can wipe; everything after that is
 * wiped.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function awsKms(options: AwsKmsOptions): KekProvider {
  return new AwsKms(parseAwsKmsOptions(options));
}

class AwsKms implements KekProvider {
  readonly #settings: AwsKmsSettings;
  readonly #unwraps: AtMost;
  readonly #keks = new Map<string, PurposeKeks>();
  #calls: AwsCalls | undefined;

  constructor(settings: AwsKmsSettings) {
    this.#settings = settings;
    this.#unwraps = new AtMost(settings.parallelUnwraps);
  }

  async start(purposes: readonly string[], emit: (event: FieldSealEvent) => void): Promise<void> {
    const calls = new AwsCalls(this.#settings, await loadAwsSdk(), emit);
    this.#calls = calls;
    await Promise.all(
      purposes.map(async (purpose) => {
        this.#keks.set(purpose, await resolveKeks(calls, this.#settings, purpose, emit));
      }),
    );
  }

  keks(purpose: string): readonly string[] {
    return this.#keksOf(purpose).wrapping;
  }

  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    const { wrapping } = this.#keksOf(context.purpose);
    if (!wrapping.includes(kek)) throw notConfigured(kek, context.purpose, 'keks');
    const outcome = await this.#generate(kek, context);
    if ('error' in outcome) throw outcome.error;
    return outcome.answer;
  }

  async unwrap(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    const { unwrapping } = this.#keksOf(context.purpose);
    const foreign = wraps.find((wrap) => !unwrapping.has(wrap.kek));
    if (foreign !== undefined) throw notConfigured(foreign.kek, context.purpose, 'keks and openKeks');
    return this.#unwraps.run(() => this.#unwrapFirst(wraps, context));
  }

  calls(): Readonly<Record<string, number>> {
    return this.#calls?.counts() ?? {};
  }

  close(): Promise<void> {
    this.#calls?.close();
    return Promise.resolve();
  }

  async #unwrapFirst(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>): Promise<Buffer> {
    const failures: KmsError[] = [];
    for (const wrap of wraps) {
      const outcome = await this.#decrypt(wrap, context);
      if ('answer' in outcome) return outcome.answer;
      if (!outcome.nextWrap) throw outcome.error;
      failures.push(outcome.error);
    }
    // One KEK out of reach and one gone for good: the caller may try again.
    throw failures.find((error) => error.retryable) ?? failures[0] ?? noWrap(context.purpose);
  }

  async #generate(kek: string, context: WrapContext): Promise<Outcome<GeneratedRoot>> {
    const call: AwsCall<GenerateDataKeyResponse> = {
      operation: 'GenerateDataKey',
      kek,
      reason: reasonOf(context),
      send: (client, sdk, options) =>
        client.send(
          new sdk.GenerateDataKeyCommand({
            KeyId: kek,
            NumberOfBytes: ROOT_BYTES,
            EncryptionContext: encryptionContext(context, context.wrapId),
          }),
          options,
        ),
    };
    const outcome = await this.#started().make(call);
    if ('error' in outcome) return outcome;
    const { Plaintext, CiphertextBlob, KeyId, KeyMaterialId } = outcome.answer;
    const root = takeRoot(Plaintext);
    const wrapped = isWrapped(CiphertextBlob) ? Buffer.from(CiphertextBlob) : undefined;
    if (root === undefined || wrapped === undefined || KeyId !== kek) {
      root?.fill(0);
      return this.#started().fail(BAD_ANSWER, call, describeAnswer(outcome.answer, kek));
    }
    const wrap = {
      kek,
      keyMaterialId: KeyMaterialId ?? null,
      wrapId: context.wrapId,
      wrapped,
      created: new Date(),
    };
    return { answer: { root, wrap } };
  }

  async #decrypt(wrap: Wrap, context: Omit<WrapContext, 'wrapId'>): Promise<Outcome<Buffer>> {
    const call: AwsCall<DecryptResponse> = {
      operation: 'Decrypt',
      kek: wrap.kek,
      reason: reasonOf(context),
      send: (client, sdk, options) =>
        client.send(
          new sdk.DecryptCommand({
            // Without KeyId the KMS would take whatever KEK the ciphertext names.
            KeyId: wrap.kek,
            CiphertextBlob: wrap.wrapped,
            EncryptionContext: encryptionContext(context, wrap.wrapId),
          }),
          options,
        ),
    };
    const { length } = wrap.wrapped;
    if (!isWrappedLength(length)) {
      const detail = `expected a wrap of 1 to ${MAX_WRAPPED_BYTES} bytes, got ${length}`;
      return this.#started().fail(WRAP_REFUSED, call, detail);
    }
    const outcome = await this.#started().make(call);
    if ('error' in outcome) return outcome;
    const root = takeRoot(outcome.answer.Plaintext);
    if (root === undefined || outcome.answer.KeyId !== wrap.kek) {
      root?.fill(0);
      return this.#started().fail(BAD_ANSWER, call, describeAnswer(outcome.answer, wrap.kek));
    }
    return { answer: root };
  }

  #started(): AwsCalls {
    if (this.#calls === undefined)
      throw new KmsError('ERR_KMS_UNAVAILABLE', 'awsKms is not started; await start() first.');
    return this.#calls;
  }

  #keksOf(purpose: string): PurposeKeks {
    const keks = this.#keks.get(purpose);
    if (keks !== undefined) return keks;
    throw new KmsError(
      'ERR_KMS_KEK_NOT_CONFIGURED',
      `Purpose "${purpose}" has no KEK: expected one of ${[...this.#keks.keys()].join(', ') || 'none yet, start() was not called'}; add it to awsKms.keks.`,
    );
  }
}

/** Exactly these six, in every call: authenticated by the KMS, in its audit log, and open to IAM conditions. */
function encryptionContext(context: Omit<WrapContext, 'wrapId'>, wrapId: string): Record<string, string> {
  const { application, environment, purpose, kind, delivery } = context;
  return { application, environment, purpose, kind, delivery, wrapId };
}

function reasonOf(context: Omit<WrapContext, 'wrapId'>): string {
  return `purpose "${context.purpose}", kind ${context.kind}, delivery ${context.delivery}`;
}

/** Copies the key into a buffer of its own and wipes the SDK's array, which may be a slice of a shared pool. */
function takeRoot(plaintext: Uint8Array | undefined): Buffer | undefined {
  if (!(plaintext instanceof Uint8Array)) return undefined;
  const root = plaintext.length === ROOT_BYTES ? Buffer.alloc(ROOT_BYTES) : undefined;
  root?.set(plaintext);
  plaintext.fill(0);
  return root;
}

function isWrapped(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes instanceof Uint8Array && isWrappedLength(bytes.length);
}

function isWrappedLength(length: number): boolean {
  return length > 0 && length <= MAX_WRAPPED_BYTES;
}

function describeAnswer(answer: GenerateDataKeyResponse, kek: string): string {
  const size = (bytes: Uint8Array | undefined): string =>
    bytes instanceof Uint8Array ? `${bytes.length} bytes` : 'none';
  const key = answer.KeyId === kek ? 'this KEK' : 'another KEK';
  return `expected ${ROOT_BYTES} bytes of plaintext under this KEK, got ${size(answer.Plaintext)} of plaintext, ${size(answer.CiphertextBlob)} of ciphertext, ${key}`;
}

function notConfigured(kek: string, purpose: string, list: string): KmsError {
  const got = isKeyArn(kek) ? kek : `a name of ${kek.length} characters that is no key ARN`;
  return new KmsError(
    'ERR_KMS_KEK_NOT_CONFIGURED',
    `Purpose "${purpose}": expected a KEK of awsKms ${list}, got ${got}; a wrap may only name configured KEKs.`,
  );
}

function noWrap(purpose: string): KmsError {
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Purpose "${purpose}": expected at least one wrap of the key, got none; restore the key store from a backup.`,
  );
}
