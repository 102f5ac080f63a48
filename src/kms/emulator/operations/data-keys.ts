/** GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateDataKeyPairWithoutPlaintext. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Call, Operation } from '../call.js';
import { encryptUnder } from '../ciphertext.js';
import { currentMaterial } from '../key.js';
import { dryRun, encryptionContext, keyId } from './members.js';

const KEY_SPEC_BYTES: ReadonlyMap<string, number> = new Map([
  ['AES_128', 16],
  ['AES_256', 32],
]);

const dataKeyRequest = z
  .object({
    KeyId: keyId,
    EncryptionContext: encryptionContext,
    NumberOfBytes: z.int().min(1).max(1_024).optional(),
    KeySpec: z.enum(['AES_128', 'AES_256']).optional(),
    DryRun: dryRun,
  })
  .refine((input) => (input.NumberOfBytes === undefined) !== (input.KeySpec === undefined), {
    error: 'exactly one of NumberOfBytes and KeySpec is needed',
  });

const dataKeyPairRequest = z.object({
  KeyId: keyId,
  EncryptionContext: encryptionContext,
  KeyPairSpec: z.literal('ECC_NIST_P256', { error: 'the emulator makes pairs of ECC_NIST_P256 alone' }),
  DryRun: dryRun,
});

const usage = 'ENCRYPT_DECRYPT';
const state = 'enabled';

export const generateDataKey: Operation = (call) => {
  const { plaintext, ...answer } = makeDataKey(call);
  return { ...answer, Plaintext: call.handOut(plaintext) };
};

export const generateDataKeyWithoutPlaintext: Operation = (call) => {
  const { plaintext, ...answer } = makeDataKey(call);
  plaintext.fill(0);
  return answer;
};

/** The private key (PKCS #8 DER) is encrypted where it is made; the public one is SPKI DER. */
export const generateDataKeyPairWithoutPlaintext: Operation = (call) => {
  const input = call.parse(dataKeyPairRequest);
  const context = input.EncryptionContext;
  const conditions = [['kms:datakeypairspec', [input.KeyPairSpec]]] as const;
  const key = call.useKey(input.KeyId, { usage, state, context, conditions });
  call.stopDryRun(input.DryRun);
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const privateKey = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
  const publicKey = pair.publicKey.export({ format: 'der', type: 'spki' });
  const encrypted = encryptUnder(key, privateKey, context);
  privateKey.fill(0);
  return {
    PrivateKeyCiphertextBlob: encrypted.toString('base64'),
    PublicKey: publicKey.toString('base64'),
    KeyId: call.arnOf(key),
    KeyPairSpec: input.KeyPairSpec,
    KeyMaterialId: currentMaterial(key).id,
  };
};

function makeDataKey(call: Call) {
  const input = call.parse(dataKeyRequest);
  const context = input.EncryptionContext;
  const key = call.useKey(input.KeyId, { usage, state, context });
  call.stopDryRun(input.DryRun);
  const plaintext = randomBytes(input.NumberOfBytes ?? KEY_SPEC_BYTES.get(input.KeySpec ?? '') ?? 32);
  return {
    plaintext,
    CiphertextBlob: encryptUnder(key, plaintext, context).toString('base64'),
    KeyId: call.arnOf(key),
    KeyMaterialId: currentMaterial(key).id,
  };
}
