/**
 * What administrators of keys may do. Nothing here uses a key, and kms:CreateGrant is missing because a grant gives the
 * use of one away. Who may write the key policy can still let himself in: that cannot be forbidden to everybody, only
 * seen (an alarm on PutKeyPolicy).
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
 */

export const KEY_MANAGEMENT: readonly string[] = [
  'kms:DescribeKey',
  'kms:UpdateKeyDescription',
  'kms:GetKeyPolicy',
  'kms:PutKeyPolicy',
  'kms:EnableKey',
  'kms:DisableKey',
  'kms:ScheduleKeyDeletion',
  'kms:CancelKeyDeletion',
  'kms:CreateAlias',
  'kms:UpdateAlias',
  'kms:DeleteAlias',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:ListResourceTags',
];

/** Of symmetric encryption keys alone. */
export const ROTATION: readonly string[] = [
  'kms:EnableKeyRotation',
  'kms:DisableKeyRotation',
  'kms:GetKeyRotationStatus',
  'kms:RotateKeyOnDemand',
];

/** Need the right on the alias beside that on the key, and an alias has no policy of its own. */
export const ALIAS_ACTIONS: readonly string[] = KEY_MANAGEMENT.filter((action) => action.endsWith('Alias'));

/** The aliases beside these keys: of their accounts and regions. */
export function aliasesBeside(keys: readonly string[]): readonly string[] {
  return [...new Set(keys.map((arn) => arn.replace(/key\/.*$/u, 'alias/*')))];
}
