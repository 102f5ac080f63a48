/** Making key pairs in AWS KMS: GenerateDataKeyPairWithoutPlaintext. */
import { isUint8Array } from 'node:util/types';
import type { GenerateDataKeyPairWithoutPlaintextResponse } from '@aws-sdk/client-kms';
import { pointOf } from '../cell/p256.js';
import type { GeneratedPair, WrapContext } from '../keys/ports.js';
import { sizeOf, takeWrapped } from './aws-answers.js';
import { reasonOf } from './aws-calls.js';
import type { AwsCall, AwsCalls, Outcome } from './aws-calls.js';
import { BAD_ANSWER } from './aws-failures.js';
import { membersOf } from './wrap-context.js';

const KEY_PAIR_SPEC = 'ECC_NIST_P256';

/**
 * One GenerateDataKeyPairWithoutPlaintext, retried where that can help. The public key has the form of a P-256 key;
 * whether it belongs to the wrap shows when that is opened. Never throws.
 */
export async function generateDataKeyPair(
  calls: AwsCalls,
  kek: string,
  context: WrapContext,
): Promise<Outcome<GeneratedPair>> {
  const call: AwsCall<GenerateDataKeyPairWithoutPlaintextResponse> = {
    operation: 'GenerateDataKeyPairWithoutPlaintext',
    kek,
    reason: reasonOf(context),
    send: (client, sdk, options) =>
      client.send(
        new sdk.GenerateDataKeyPairWithoutPlaintextCommand({
          KeyId: kek,
          KeyPairSpec: KEY_PAIR_SPEC,
          EncryptionContext: membersOf(context),
        }),
        options,
      ),
  };
  const outcome = await calls.make(call);
  if ('error' in outcome) return outcome;
  const { PublicKey, PrivateKeyCiphertextBlob, KeyId, KeyMaterialId: keyMaterialId = null } = outcome.answer;
  const wrapped = takeWrapped(PrivateKeyCiphertextBlob);
  if (!isP256(PublicKey) || wrapped === undefined || KeyId !== kek) {
    return calls.fail(BAD_ANSWER, call, describePair(outcome.answer, kek));
  }
  const wrap = { kek, keyMaterialId, wrapId: context.wrapId, wrapped, created: new Date() };
  return { answer: { publicKey: Buffer.from(PublicKey), wrap } };
}

function isP256(publicKey: Uint8Array | undefined): publicKey is Uint8Array {
  return isUint8Array(publicKey) && pointOf(publicKey) !== undefined;
}

function describePair(answer: GenerateDataKeyPairWithoutPlaintextResponse, kek: string): string {
  const key = answer.KeyId === kek ? 'this KEK' : 'another KEK';
  return `expected a P-256 key and its private half under this KEK, got ${sizeOf(answer.PublicKey)} of public key, ${sizeOf(answer.PrivateKeyCiphertextBlob)} of ciphertext, ${key}`;
}
