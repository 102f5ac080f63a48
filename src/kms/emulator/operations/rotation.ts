/** EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand. */
import { z } from 'zod';
import type { Call, Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { withNewMaterial } from '../key.js';
import type { StateNeed, StoredKey } from '../key.js';
import { keyId, seconds } from './members.js';

const DAY_MS = 86_400_000;

/** AWS's quota of on-demand rotations of one key. */
const MAX_ON_DEMAND = 25;

const rotationRequest = z.object({
  KeyId: keyId,
  RotationPeriodInDays: z.int().min(90).max(2_560).optional(),
});

export const enableKeyRotation: Operation = (call) => {
  const { KeyId, RotationPeriodInDays: periodDays = 365 } = call.parse(rotationRequest);
  const key = useSymmetricKey(call, KeyId, 'enabled');
  call.keys.put({ ...key, rotation: { periodDays, next: call.now + periodDays * DAY_MS } });
  return {};
};

export const disableKeyRotation: Operation = (call) => {
  const { KeyId } = call.parse(rotationRequest);
  call.keys.put({ ...useSymmetricKey(call, KeyId, 'enabled'), rotation: null });
  return {};
};

export const getKeyRotationStatus: Operation = (call) => {
  const { KeyId } = call.parse(rotationRequest);
  const key = useSymmetricKey(call, KeyId, 'not-pending');
  const { rotation } = key;
  return {
    KeyId: call.arnOf(key),
    KeyRotationEnabled: rotation !== null,
    ...(rotation === null
      ? {}
      : { RotationPeriodInDays: rotation.periodDays, NextRotationDate: seconds(rotation.next) }),
  };
};

export const rotateKeyOnDemand: Operation = (call) => {
  const { KeyId } = call.parse(rotationRequest);
  const key = useSymmetricKey(call, KeyId, 'enabled');
  if (key.onDemandRotations >= MAX_ON_DEMAND) {
    throw new AwsException('LimitExceededException', 'The key was rotated on demand too often.');
  }
  call.keys.put({ ...withNewMaterial(key, call.now), onDemandRotations: key.onDemandRotations + 1 });
  return { KeyId: call.arnOf(key) };
};

function useSymmetricKey(call: Call, name: string, state: StateNeed): StoredKey {
  const key = call.useKey(name, { state });
  if (key.spec === 'SYMMETRIC_DEFAULT') return key;
  throw new AwsException('UnsupportedOperationException', `A ${key.spec} key does not rotate.`);
}
