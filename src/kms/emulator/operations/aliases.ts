/** CreateAlias, UpdateAlias, DeleteAlias, ListAliases. */
import { z } from 'zod';
import { aliasArn } from '../arns.js';
import type { Operation } from '../call.js';
import { AwsException } from '../exceptions.js';
import { keyId } from './members.js';

const aliasRequest = z.object({ AliasName: z.string().min(1).max(256), TargetKeyId: keyId });

const deleteRequest = z.object({ AliasName: z.string().min(1).max(256) });

const listRequest = z.object({ KeyId: keyId.optional() });

/** Needs kms:CreateAlias on the alias and on the key. */
export const createAlias: Operation = (call) => {
  const { AliasName, TargetKeyId } = call.parse(aliasRequest);
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

/** Needs kms:UpdateAlias on the alias, on its present key and on the new one. */
export const updateAlias: Operation = (call) => {
  const { AliasName, TargetKeyId } = call.parse(aliasRequest);
  call.authorize(aliasArn(call.keys.region, AliasName));
  const present = call.useKey(AliasName, { state: 'any' });
  const target = call.useKey(TargetKeyId, { state: 'not-pending' });
  if (present.spec !== target.spec) {
    throw new AwsException('ValidationException', 'Both keys of an alias must be of one type.');
  }
  call.keys.moveAlias(AliasName, target.keyId);
  return {};
};

/** Needs kms:DeleteAlias on the alias and on its key. */
export const deleteAlias: Operation = (call) => {
  const { AliasName } = call.parse(deleteRequest);
  call.authorize(aliasArn(call.keys.region, AliasName));
  call.useKey(AliasName, { state: 'any' });
  call.keys.removeAlias(AliasName);
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
