/** CreateAlias, ListAliases. */
import { z } from 'zod';
import { aliasArn } from '../arns.js';
import type { Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { keyId } from './members.js';

const createRequest = z.object({ AliasName: z.string().min(1).max(256), TargetKeyId: keyId });

const listRequest = z.object({ KeyId: keyId.optional() });

/** Needs kms:CreateAlias on the alias and on the key. */
export const createAlias: Operation = (call) => {
  const { AliasName, TargetKeyId } = call.parse(createRequest);
  if (!isAliasName(AliasName)) {
    throw new AwsException(
      'InvalidAliasNameException',
      "Alias must start with the prefix 'alias/' and not 'alias/aws/'.",
    );
  }
  call.authorize(aliasArn(call.keys.region, AliasName));
  const key = call.useKey(TargetKeyId, { state: 'not-pending' });
  call.keys.putAlias(AliasName, key.keyId);
  return {};
};

export const listAliases: Operation = (call) => {
  call.authorize('*');
  const { KeyId } = call.parse(listRequest);
  const wanted = KeyId === undefined ? undefined : call.keys.get(KeyId).keyId;
  const listed = call.keys.aliases().filter(([, target]) => wanted === undefined || target === wanted);
  return {
    Aliases: listed.map(([alias, target]) => ({
      AliasName: alias,
      AliasArn: aliasArn(call.keys.region, alias),
      TargetKeyId: target,
    })),
    Truncated: false,
  };
};

export function isAliasName(name: string): boolean {
  return /^alias\/[\w/-]+$/.test(name) && !name.startsWith('alias/aws/');
}
