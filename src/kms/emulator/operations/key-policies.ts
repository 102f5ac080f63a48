/** PutKeyPolicy, GetKeyPolicy, and the checks of a new key policy. */
import { z } from 'zod';
import type { Call, Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import type { StoredKey } from '../key.js';
import { check } from '../issues.js';
import { keyPolicy } from '../policy-file.js';
import type { PolicyDocument } from '../policy-file.js';
import { keyId } from './members.js';

const POLICY_NAME = 'default';

const putRequest = z.object({
  KeyId: keyId,
  PolicyName: z.literal(POLICY_NAME).optional(),
  Policy: z.string(),
  BypassPolicyLockoutSafetyCheck: z.boolean().optional(),
});

const getRequest = z.object({ KeyId: keyId, PolicyName: z.literal(POLICY_NAME).optional() });

export const putKeyPolicy: Operation = (call) => {
  const input = call.parse(putRequest);
  const key = call.useKey(input.KeyId, { state: 'any' });
  const policy = parseKeyPolicy(input.Policy);
  if (input.BypassPolicyLockoutSafetyCheck !== true) refuseLockout(call, key, policy);
  call.keys.put({ ...key, policy });
  return {};
};

export const getKeyPolicy: Operation = (call) => {
  const { KeyId } = call.parse(getRequest);
  const { policy } = call.useKey(KeyId, { state: 'any' });
  return { Policy: JSON.stringify(policy), PolicyName: POLICY_NAME };
};

/** @throws AwsException `MalformedPolicyDocumentException`. */
export function parseKeyPolicy(text: string): PolicyDocument {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new AwsException('MalformedPolicyDocumentException', 'The policy is not JSON.');
  }
  const checked = check(keyPolicy, json);
  if (checked.isValid) return checked.value;
  throw new AwsException('MalformedPolicyDocumentException', checked.why);
}

/** AWS's lockout check: who sets a key policy must be able to set the next one. */
export function refuseLockout(call: Call, key: StoredKey, policy: PolicyDocument): void {
  if (!call.wouldAllow(key, policy, 'PutKeyPolicy')) {
    throw new AwsException(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
