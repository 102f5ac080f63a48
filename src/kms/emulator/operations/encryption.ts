/** Encrypt, Decrypt, ReEncrypt. */
import { z } from 'zod';
import type { Operation } from '../call.js';
import { decryptUnder, encryptUnder, keyIdOf } from '../ciphertext.js';
import { currentMaterial } from '../key.js';
import {
  blob,
  dryRun,
  encryptionContext,
  keyId,
  MAX_CIPHERTEXT_BYTES,
  MAX_PLAINTEXT_BYTES,
} from './members.js';

const algorithm = z.literal('SYMMETRIC_DEFAULT').optional();

const encryptRequest = z.object({
  KeyId: keyId,
  Plaintext: blob(MAX_PLAINTEXT_BYTES),
  EncryptionContext: encryptionContext,
  EncryptionAlgorithm: algorithm,
  DryRun: dryRun,
});

const decryptRequest = z.object({
  CiphertextBlob: blob(MAX_CIPHERTEXT_BYTES),
  EncryptionContext: encryptionContext,
  KeyId: keyId.optional(),
  EncryptionAlgorithm: algorithm,
  DryRun: dryRun,
});

const reEncryptRequest = z.object({
  CiphertextBlob: blob(MAX_CIPHERTEXT_BYTES),
  SourceEncryptionContext: encryptionContext,
  SourceKeyId: keyId.optional(),
  DestinationKeyId: keyId,
  DestinationEncryptionContext: encryptionContext,
  SourceEncryptionAlgorithm: algorithm,
  DestinationEncryptionAlgorithm: algorithm,
  DryRun: dryRun,
});

const usage = 'ENCRYPT_DECRYPT';
const state = 'enabled';

export const encrypt: Operation = (call) => {
  const input = call.parse(encryptRequest);
  const context = input.EncryptionContext;
  const key = call.useKey(input.KeyId, { usage, state, context });
  call.stopDryRun(input.DryRun);
  return {
    CiphertextBlob: encryptUnder(key, input.Plaintext, context).toString('base64'),
    KeyId: call.arnOf(key),
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
  };
};

export const decrypt: Operation = (call) => {
  const input = call.parse(decryptRequest);
  const context = input.EncryptionContext;
  const key = call.useKey(input.KeyId ?? keyIdOf(input.CiphertextBlob), { usage, state, context });
  const { plaintext, materialId } = decryptUnder(key, input.CiphertextBlob, context);
  call.stopDryRun(input.DryRun);
  return {
    KeyId: call.arnOf(key),
    Plaintext: call.handOut(plaintext),
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    KeyMaterialId: materialId,
  };
};

/** Needs kms:ReEncryptFrom on the one key and kms:ReEncryptTo on the other; there is no action kms:ReEncrypt. */
export const reEncrypt: Operation = (call) => {
  const input = call.parse(reEncryptRequest);
  const sourceName = input.SourceKeyId ?? keyIdOf(input.CiphertextBlob);
  const onSameKey = call.keys.get(sourceName).keyId === call.keys.get(input.DestinationKeyId).keyId;
  const conditions = [['kms:reencryptonsamekey', [String(onSameKey)]]] as const;
  const context = input.SourceEncryptionContext;
  const source = call.useKey(sourceName, { action: 'ReEncryptFrom', usage, state, context, conditions });
  const destination = call.useKey(input.DestinationKeyId, {
    action: 'ReEncryptTo',
    usage,
    state,
    context: input.DestinationEncryptionContext,
    conditions,
  });
  const { plaintext, materialId } = decryptUnder(source, input.CiphertextBlob, context);
  call.stopDryRun(input.DryRun);
  const blobOut = encryptUnder(destination, plaintext, input.DestinationEncryptionContext);
  plaintext.fill(0);
  return {
    CiphertextBlob: blobOut.toString('base64'),
    SourceKeyId: call.arnOf(source),
    KeyId: call.arnOf(destination),
    SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    SourceKeyMaterialId: materialId,
    DestinationKeyMaterialId: currentMaterial(destination).id,
  };
};
