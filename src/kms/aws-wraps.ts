/** Wraps in AWS KMS: those of a key store made and opened, those of cells opened. */
import type { DecryptResponse } from '@aws-sdk/client-kms';
import { KmsError } from '../errors.js';
import { SOURCE_LIMIT_MS } from '../keys/source-calls.js';
import type { GeneratedPair, GeneratedRoot, Wrap, WrapContext } from '../keys/ports.js';
import { AtMost } from './at-most.js';
import { describeAnswer, isWrappedLength, MAX_WRAPPED_BYTES, ROOT_SIZE, takeKey } from './aws-answers.js';
import type { KeySize } from './aws-answers.js';
import { answerOf, reasonOf } from './aws-calls.js';
import type { AwsCall, AwsCalls, Outcome } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { BAD_ANSWER, WRAP_REFUSED } from './aws-failures.js';
import { generateDataKeyPair } from './aws-pairs.js';
import { membersOf } from './wrap-context.js';
import type { BoundContext } from './wrap-context.js';

/** What a process that was started write-only lacks. The KEKs given to it were looked up in the configuration. */
export class AwsWraps {
  readonly #calls: AwsCalls;
  readonly #parallel: AtMost;

  constructor(calls: AwsCalls, parallelUnwraps: number) {
    this.#calls = calls;
    // While the KMS hangs, calls that nobody waits for any more must not stand before those of later.
    this.#parallel = new AtMost({ most: parallelUnwraps, patienceMs: SOURCE_LIMIT_MS, tooLate });
  }

  /** @throws KmsError. */
  async generate(kek: string, context: WrapContext): Promise<GeneratedRoot> {
    const made = answerOf(await generateDataKey(this.#calls, kek, context));
    const { root, wrapped, keyMaterialId } = made;
    return { root, wrap: { kek, keyMaterialId, wrapId: context.wrapId, wrapped, created: new Date() } };
  }

  /** @throws KmsError. */
  async generatePair(kek: string, context: WrapContext): Promise<GeneratedPair> {
    return answerOf(await generateDataKeyPair(this.#calls, kek, context));
  }

  /** The key in the first wrap that opens; the receiver wipes it. @throws KmsError. */
  unwrapFirst(wraps: readonly Wrap[], context: Omit<WrapContext, 'wrapId'>, size: KeySize): Promise<Buffer> {
    return this.#parallel.run(async () => {
      const failures: KmsError[] = [];
      for (const { kek, wrapped, wrapId } of wraps) {
        const outcome = await decrypt(this.#calls, kek, wrapped, { ...context, wrapId }, size);
        if ('answer' in outcome) return outcome.answer;
        if (!outcome.nextWrap) throw outcome.error;
        failures.push(outcome.error);
      }
      // One KEK out of reach and one gone for good: the caller may try again.
      throw failures.find((error) => error.retryable) ?? failures[0] ?? noWrap(context.purpose);
    });
  }

  /** The root in a wrap that stands alone, as in a cell; the receiver wipes it. @throws KmsError. */
  unwrapOnly(kek: string, wrapped: Uint8Array, context: BoundContext): Promise<Buffer> {
    return this.#parallel.run(async () =>
      answerOf(await decrypt(this.#calls, kek, wrapped, context, ROOT_SIZE)),
    );
  }
}

async function decrypt(
  calls: AwsCalls,
  kek: string,
  wrapped: Uint8Array,
  context: BoundContext,
  size: KeySize,
): Promise<Outcome<Buffer>> {
  const call: AwsCall<DecryptResponse> = {
    operation: 'Decrypt',
    kek,
    reason: reasonOf(context),
    send: (client, sdk, options) =>
      client.send(
        new sdk.DecryptCommand({
          // Without KeyId the KMS would take whatever KEK the ciphertext names.
          KeyId: kek,
          CiphertextBlob: wrapped,
          EncryptionContext: membersOf(context),
        }),
        options,
      ),
  };
  if (!isWrappedLength(wrapped.length)) {
    const detail = `expected a wrap of 1 to ${MAX_WRAPPED_BYTES} bytes, got ${wrapped.length}`;
    return calls.fail(WRAP_REFUSED, call, detail);
  }
  const outcome = await calls.make(call);
  if ('error' in outcome) return outcome;
  const key = takeKey(outcome.answer.Plaintext, size);
  const fits = outcome.answer.KeyId === kek;
  if (key === undefined || !fits) {
    key?.fill(0);
    return calls.fail(BAD_ANSWER, call, describeAnswer(outcome.answer, fits, size));
  }
  return { answer: key };
}

function tooLate(): KmsError {
  return new KmsError(
    'ERR_KMS_TIMEOUT',
    `No place among the calls of awsKms within ${SOURCE_LIMIT_MS} ms (parallelUnwraps); the KMS answers too slowly for what is asked.`,
  );
}

function noWrap(purpose: string): KmsError {
  return new KmsError(
    'ERR_KMS_WRAP_REFUSED',
    `Purpose "${purpose}": expected at least one wrap of the key, got none; restore the key store from a backup.`,
  );
}
