/** Blind indexes made by AWS KMS: GenerateMac. */
import { isUint8Array } from 'node:util/types';
import type { GenerateMacResponse } from '@aws-sdk/client-kms';
import { sizeOf } from './aws-answers.js';
import { answerOf } from './aws-calls.js';
import type { AwsCall, AwsCalls } from './aws-calls.js';
import { BAD_ANSWER } from './aws-failures.js';

const MAC_BYTES = 32;

/**
 * HMAC-SHA-256 of the message; one call, retried where that can help.
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
 * @throws KmsError
 */
export async function generateMac(
  calls: AwsCalls,
  key: string,
  purpose: string,
  message: Uint8Array,
): Promise<Buffer> {
  const call: AwsCall<GenerateMacResponse> = {
    operation: 'GenerateMac',
    kek: key,
    reason: `blind indexes of purpose "${purpose}"`,
    advice: {
      ERR_KMS_KEK_UNUSABLE:
        'the MAC key is disabled, pending deletion, missing, or no HMAC_256 key; enable it, or correct awsKms.macKeys',
    },
    send: (client, sdk, options) =>
      client.send(
        new sdk.GenerateMacCommand({ KeyId: key, Message: message, MacAlgorithm: 'HMAC_SHA_256' }),
        options,
      ),
  };
  const { KeyId, Mac } = answerOf(await calls.make(call));
  if (KeyId === key && isUint8Array(Mac) && Mac.length === MAC_BYTES) return Buffer.from(Mac);
  const got = `${sizeOf(Mac)} under ${KeyId === key ? 'this key' : 'another key'}`;
  return answerOf(
    calls.fail(BAD_ANSWER, call, `expected a MAC of ${MAC_BYTES} bytes under this key, got ${got}`),
  );
}
