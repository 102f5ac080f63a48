/** CreateGrant, as a dry run alone: the emulator knows no grants, and says who may give some. */
import { z } from 'zod';
import type { Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { dryRun, keyId } from './members.js';

const request = z.object({
  KeyId: keyId,
  GranteePrincipal: z.string().min(1).max(256),
  Operations: z.array(z.string()).min(1),
  DryRun: dryRun,
});

export const createGrant: Operation = (call) => {
  const input = call.parse(request);
  call.useKey(input.KeyId, { state: 'enabled' });
  call.stopDryRun(input.DryRun);
  throw new AwsException('UnsupportedOperationException', 'The emulator makes no grants; it takes dry runs.');
};
