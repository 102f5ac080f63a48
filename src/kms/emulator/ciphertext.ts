/**
 * Ciphertext of the emulator's symmetric keys: version ‖ key id ‖ material id ‖ nonce ‖ AES-256-GCM ciphertext ‖ tag.
 * Everything before the nonce and the encryption context are authenticated. Opaque to callers, as AWS's own is.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AwsException } from './exceptions.js';
import { currentMaterial } from './key.js';
import type { StoredKey } from './key.js';

export type EncryptionContext = Readonly<Record<string, string>>;

const VERSION = 1;
const KEY_ID_END = 17;
const HEAD_BYTES = KEY_ID_END + 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function encryptUnder(key: StoredKey, plaintext: Buffer, context: EncryptionContext): Buffer {
  const material = currentMaterial(key);
  const keyId = Buffer.from(key.keyId.replaceAll('-', ''), 'hex');
  const head = Buffer.concat([Buffer.of(VERSION), keyId, Buffer.from(material.id, 'hex')]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', material.bytes, nonce).setAAD(additionalData(head, context));
  return Buffer.concat([head, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** @throws AwsException `InvalidCiphertextException`, `IncorrectKeyException`. */
export function decryptUnder(
  key: StoredKey,
  blob: Buffer,
  context: EncryptionContext,
): { readonly plaintext: Buffer; readonly materialId: string } {
  if (keyIdOf(blob) !== key.keyId) {
    throw new AwsException(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
  const head = blob.subarray(0, HEAD_BYTES);
  const materialId = head.subarray(KEY_ID_END).toString('hex');
  const material = key.materials.find((one) => one.id === materialId);
  if (material === undefined) throw invalidCiphertext();
  const nonce = blob.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', material.bytes, nonce, { authTagLength: TAG_BYTES })
    .setAAD(additionalData(head, context))
    .setAuthTag(blob.subarray(-TAG_BYTES));
  try {
    const sealed = blob.subarray(HEAD_BYTES + NONCE_BYTES, -TAG_BYTES);
    return { plaintext: Buffer.concat([decipher.update(sealed), decipher.final()]), materialId };
  } catch {
    throw invalidCiphertext();
  }
}

/** Id of the key that a ciphertext names. @throws AwsException `InvalidCiphertextException`. */
export function keyIdOf(blob: Buffer): string {
  if (blob.length < HEAD_BYTES + NONCE_BYTES + TAG_BYTES || blob[0] !== VERSION) throw invalidCiphertext();
  const hex = blob.subarray(1, KEY_ID_END).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function additionalData(head: Buffer, context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat([head, ...pairs.flat().flatMap(lengthPrefixed)]);
}

function lengthPrefixed(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
}

function invalidCiphertext(): AwsException {
  return new AwsException('InvalidCiphertextException', 'The ciphertext is invalid.');
}
