/** GenerateMac, VerifyMac. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Call, Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { currentMaterial, SPECS } from '../key.js';
import { blob, dryRun, keyId, MAX_CIPHERTEXT_BYTES, MAX_PLAINTEXT_BYTES } from './members.js';

/** Node's digest by AWS's algorithm. */
const DIGESTS: ReadonlyMap<string, string> = new Map([
  ['HMAC_SHA_256', 'sha256'],
  ['HMAC_SHA_384', 'sha384'],
  ['HMAC_SHA_512', 'sha512'],
]);

const macRequest = z.object({
  KeyId: keyId,
  Message: blob(MAX_PLAINTEXT_BYTES),
  MacAlgorithm: z.enum(['HMAC_SHA_256', 'HMAC_SHA_384', 'HMAC_SHA_512']),
  DryRun: dryRun,
});

const verifyRequest = macRequest.extend({ Mac: blob(MAX_CIPHERTEXT_BYTES) });

export const generateMac: Operation = (call) => {
  const { mac, keyArn, algorithm, input } = computeMac(call, macRequest);
  call.stopDryRun(input.DryRun);
  return { Mac: mac.toString('base64'), MacAlgorithm: algorithm, KeyId: keyArn };
};

export const verifyMac: Operation = (call) => {
  const { mac, keyArn, algorithm, input } = computeMac(call, verifyRequest);
  if (mac.length !== input.Mac.length || !timingSafeEqual(mac, input.Mac)) {
    throw new AwsException('KMSInvalidMacException', 'The MAC is not valid for this message and key.');
  }
  call.stopDryRun(input.DryRun);
  return { MacValid: true, MacAlgorithm: algorithm, KeyId: keyArn };
};

function computeMac<T extends z.infer<typeof macRequest>>(call: Call, request: z.ZodType<T>) {
  const input = call.parse(request);
  const key = call.useKey(input.KeyId, {
    usage: 'GENERATE_VERIFY_MAC',
    state: 'enabled',
    conditions: [['kms:macalgorithm', [input.MacAlgorithm]]],
  });
  const digest = DIGESTS.get(input.MacAlgorithm);
  if (digest === undefined || !SPECS[key.spec].algorithms.MacAlgorithms?.includes(input.MacAlgorithm)) {
    throw new AwsException(
      'InvalidKeyUsageException',
      `${input.MacAlgorithm} does not fit a ${key.spec} key.`,
    );
  }
  const mac = createHmac(digest, currentMaterial(key).bytes).update(input.Message).digest();
  return { mac, keyArn: call.arnOf(key), algorithm: input.MacAlgorithm, input };
}
