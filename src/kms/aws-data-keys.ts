/** Making data keys in AWS KMS: GenerateDataKey. */
import type { GenerateDataKeyResponse } from '@aws-sdk/client-kms';
import { isKeyArn, mayName } from './arn.js';
import { describeAnswer, ROOT_SIZE, takeKey, takeWrapped } from './aws-answers.js';
import { reasonOf } from './aws-calls.js';
import type { AwsCall, AwsCalls, Outcome } from './aws-calls.js';
import { BAD_ANSWER } from './aws-failures.js';
import { membersOf } from './wrap-context.js';
import type { BoundContext } from './wrap-context.js';

/** A fresh root and its wrap. The receiver owns `root` and wipes it. */
export interface MadeDataKey {
  readonly root: Buffer;
  readonly wrapped: Buffer;
  /** ARN of the KEK, as the KMS names it. */
  readonly kek: string;
  readonly keyMaterialId: string | null;
}

/**
 * One GenerateDataKey, retried where that can help. Never throws.
 * @param kek A key ARN, which must come back; or another configured name, for which a key ARN that it may stand for must.
 */
export async function generateDataKey(
  calls: AwsCalls,
  kek: string,
  context: BoundContext,
): Promise<Outcome<MadeDataKey>> {
  const call: AwsCall<GenerateDataKeyResponse> = {
    operation: 'GenerateDataKey',
    kek,
    reason: reasonOf(context),
    send: (client, sdk, options) =>
      client.send(
        new sdk.GenerateDataKeyCommand({
          KeyId: kek,
          NumberOfBytes: ROOT_SIZE.most,
          EncryptionContext: membersOf(context),
        }),
        options,
      ),
  };
  const outcome = await calls.make(call);
  if ('error' in outcome) return outcome;
  const { KeyId: arn = '', KeyMaterialId: keyMaterialId = null } = outcome.answer;
  const fits = isKeyArn(arn) && mayName(kek, arn);
  const root = takeKey(outcome.answer.Plaintext, ROOT_SIZE);
  const wrapped = takeWrapped(outcome.answer.CiphertextBlob);
  if (root === undefined || wrapped === undefined || !fits) {
    root?.fill(0);
    return calls.fail(BAD_ANSWER, call, describeAnswer(outcome.answer, fits, ROOT_SIZE));
  }
  return { answer: { root, wrapped, kek: arn, keyMaterialId } };
}
