/** CreateKey, DescribeKey, UpdateKeyDescription, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, GetPublicKey. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { ACCOUNT } from '../arns.js';
import type { Call, Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { currentMaterial, KEY_SPECS, KEY_USAGES, newKey, SPECS } from '../key.js';
import type { KeyState, StoredKey } from '../key.js';
import { parseKeyPolicy, refuseLockout } from './key-policies.js';
import { keyId, seconds } from './members.js';

const DAY_MS = 86_400_000;

const createRequest = z.object({
  Policy: z.string().optional(),
  Description: z.string().max(8_192).optional(),
  KeyUsage: z.enum(KEY_USAGES).optional(),
  KeySpec: z.enum(KEY_SPECS).optional(),
  BypassPolicyLockoutSafetyCheck: z.boolean().optional(),
  MultiRegion: z.boolean().optional(),
});

const keyRequest = z.object({ KeyId: keyId });

const descriptionRequest = z.object({ KeyId: keyId, Description: z.string().max(8_192) });

const deletionRequest = z.object({ KeyId: keyId, PendingWindowInDays: z.int().min(7).max(30).optional() });

export const createKey: Operation = (call) => {
  call.authorize('*');
  const input = call.parse(createRequest);
  // A key of one region in the place of one of several would be found out in production.
  if (input.MultiRegion === true) {
    throw new AwsException('UnsupportedOperationException', 'This emulator has no multi-Region keys.');
  }
  const spec = input.KeySpec ?? 'SYMMETRIC_DEFAULT';
  if ((input.KeyUsage ?? 'ENCRYPT_DECRYPT') !== SPECS[spec].usage) {
    throw new AwsException('ValidationException', `The KeyUsage of a ${spec} key is ${SPECS[spec].usage}.`);
  }
  const policy = input.Policy === undefined ? undefined : parseKeyPolicy(input.Policy);
  const key = newKey(spec, call.now, { description: input.Description ?? '', policy });
  if (input.BypassPolicyLockoutSafetyCheck !== true) refuseLockout(call, key, key.policy);
  call.keys.put(key);
  return { KeyMetadata: metadata(call, key) };
};

export const describeKey: Operation = (call) => {
  const { KeyId } = call.parse(keyRequest);
  return { KeyMetadata: metadata(call, call.useKey(KeyId, { state: 'any' })) };
};

export const updateKeyDescription: Operation = (call) => {
  const { KeyId, Description: description } = call.parse(descriptionRequest);
  call.keys.put({ ...call.useKey(KeyId, { state: 'not-pending' }), description });
  return {};
};

export const enableKey: Operation = (call) => setState(call, 'Enabled');

export const disableKey: Operation = (call) => setState(call, 'Disabled');

export const scheduleKeyDeletion: Operation = (call) => {
  const { KeyId, PendingWindowInDays: days = 30 } = call.parse(deletionRequest);
  const key = call.useKey(KeyId, { state: 'not-pending' });
  const deletionDate = call.now + days * DAY_MS;
  call.keys.put({ ...key, state: 'PendingDeletion', deletionDate });
  return {
    KeyId: call.arnOf(key),
    DeletionDate: seconds(deletionDate),
    KeyState: 'PendingDeletion',
    PendingWindowInDays: days,
  };
};

export const cancelKeyDeletion: Operation = (call) => {
  const { KeyId } = call.parse(keyRequest);
  const key = call.useKey(KeyId, { state: 'pending' });
  call.keys.put({ ...key, state: 'Disabled', deletionDate: null });
  return { KeyId: call.arnOf(key) };
};

export const getPublicKey: Operation = (call) => {
  const { KeyId } = call.parse(keyRequest);
  const key = call.useKey(KeyId, { state: 'enabled' });
  if (key.spec !== 'ECC_NIST_P256') {
    throw new AwsException('UnsupportedOperationException', `A ${key.spec} key has no public key.`);
  }
  const der = currentMaterial(key).bytes;
  const publicKey = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return {
    KeyId: call.arnOf(key),
    PublicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
    KeySpec: key.spec,
    KeyUsage: key.usage,
    ...SPECS[key.spec].algorithms,
  };
};

function setState(call: Call, state: KeyState): Readonly<Record<string, unknown>> {
  const { KeyId } = call.parse(keyRequest);
  call.keys.put({ ...call.useKey(KeyId, { state: 'not-pending' }), state });
  return {};
}

function metadata(call: Call, key: StoredKey): Readonly<Record<string, unknown>> {
  return {
    AWSAccountId: ACCOUNT,
    KeyId: key.keyId,
    Arn: call.arnOf(key),
    CreationDate: seconds(key.created),
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: key.usage,
    KeyState: key.state,
    ...(key.deletionDate === null ? {} : { DeletionDate: seconds(key.deletionDate) }),
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    KeySpec: key.spec,
    CustomerMasterKeySpec: key.spec,
    ...SPECS[key.spec].algorithms,
    MultiRegion: false,
    ...(key.spec === 'SYMMETRIC_DEFAULT' ? { CurrentKeyMaterialId: currentMaterial(key).id } : {}),
  };
}
