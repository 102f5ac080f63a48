/** Every operation of the emulator, by its name in the protocol. */
import type { Operation } from '../call.js';
import { createAlias, listAliases } from './aliases.js';
import {
  generateDataKey,
  generateDataKeyPairWithoutPlaintext,
  generateDataKeyWithoutPlaintext,
} from './data-keys.js';
import { decrypt, encrypt, reEncrypt } from './encryption.js';
import {
  cancelKeyDeletion,
  createKey,
  describeKey,
  disableKey,
  enableKey,
  getPublicKey,
  putKeyPolicy,
  scheduleKeyDeletion,
} from './keys.js';
import { generateMac, verifyMac } from './macs.js';
import { enableKeyRotation, getKeyRotationStatus, rotateKeyOnDemand } from './rotation.js';

export const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ['CreateKey', createKey],
  ['DescribeKey', describeKey],
  ['EnableKey', enableKey],
  ['DisableKey', disableKey],
  ['ScheduleKeyDeletion', scheduleKeyDeletion],
  ['CancelKeyDeletion', cancelKeyDeletion],
  ['PutKeyPolicy', putKeyPolicy],
  ['GetPublicKey', getPublicKey],
  ['CreateAlias', createAlias],
  ['ListAliases', listAliases],
  ['EnableKeyRotation', enableKeyRotation],
  ['GetKeyRotationStatus', getKeyRotationStatus],
  ['RotateKeyOnDemand', rotateKeyOnDemand],
  ['Encrypt', encrypt],
  ['Decrypt', decrypt],
  ['ReEncrypt', reEncrypt],
  ['GenerateDataKey', generateDataKey],
  ['GenerateDataKeyWithoutPlaintext', generateDataKeyWithoutPlaintext],
  ['GenerateDataKeyPairWithoutPlaintext', generateDataKeyPairWithoutPlaintext],
  ['GenerateMac', generateMac],
  ['VerifyMac', verifyMac],
]);
