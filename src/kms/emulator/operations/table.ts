/** Every operation of the emulator, by its name in the protocol. */
import type { Operation } from '../call.js';
import { createAlias, deleteAlias, listAliases, updateAlias } from './aliases.js';
import {
  generateDataKey,
  generateDataKeyPairWithoutPlaintext,
  generateDataKeyWithoutPlaintext,
} from './data-keys.js';
import { decrypt, encrypt, reEncrypt } from './encryption.js';
import { createGrant } from './grants.js';
import { getKeyPolicy, putKeyPolicy } from './key-policies.js';
import {
  cancelKeyDeletion,
  createKey,
  describeKey,
  disableKey,
  enableKey,
  getPublicKey,
  scheduleKeyDeletion,
  updateKeyDescription,
} from './keys.js';
import { generateMac, verifyMac } from './macs.js';
import {
  disableKeyRotation,
  enableKeyRotation,
  getKeyRotationStatus,
  rotateKeyOnDemand,
} from './rotation.js';
import { listResourceTags, tagResource, untagResource } from './tags.js';

export const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ['CreateKey', createKey],
  ['DescribeKey', describeKey],
  ['UpdateKeyDescription', updateKeyDescription],
  ['EnableKey', enableKey],
  ['DisableKey', disableKey],
  ['ScheduleKeyDeletion', scheduleKeyDeletion],
  ['CancelKeyDeletion', cancelKeyDeletion],
  ['PutKeyPolicy', putKeyPolicy],
  ['GetKeyPolicy', getKeyPolicy],
  ['CreateGrant', createGrant],
  ['GetPublicKey', getPublicKey],
  ['CreateAlias', createAlias],
  ['UpdateAlias', updateAlias],
  ['DeleteAlias', deleteAlias],
  ['ListAliases', listAliases],
  ['EnableKeyRotation', enableKeyRotation],
  ['DisableKeyRotation', disableKeyRotation],
  ['GetKeyRotationStatus', getKeyRotationStatus],
  ['RotateKeyOnDemand', rotateKeyOnDemand],
  ['TagResource', tagResource],
  ['UntagResource', untagResource],
  ['ListResourceTags', listResourceTags],
  ['Encrypt', encrypt],
  ['Decrypt', decrypt],
  ['ReEncrypt', reEncrypt],
  ['GenerateDataKey', generateDataKey],
  ['GenerateDataKeyWithoutPlaintext', generateDataKeyWithoutPlaintext],
  ['GenerateDataKeyPairWithoutPlaintext', generateDataKeyPairWithoutPlaintext],
  ['GenerateMac', generateMac],
  ['VerifyMac', verifyMac],
]);
