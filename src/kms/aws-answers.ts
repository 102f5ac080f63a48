/** What stands in the answers of AWS KMS: keys in the clear, which are taken out and wiped there, and their wraps. */
import { isUint8Array } from 'node:util/types';

/** Longest CiphertextBlob, bytes (AWS KMS API Reference, Decrypt). */
export const MAX_WRAPPED_BYTES = 6_144;

/** How many bytes a key in the clear may have. */
export interface KeySize {
  readonly least: number;
  readonly most: number;
}

/** Root of a DEK. */
export const ROOT_SIZE: KeySize = { least: 32, most: 32 };

/** PKCS #8 DER of a P-256 key: 138 bytes with its public half, fewer without. Never as few as a root has. */
export const PAIR_SIZE: KeySize = { least: 33, most: 256 };

/** The members that are read here, of any answer that holds a key. */
export interface KeyAnswer {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
  readonly CiphertextBlob?: Uint8Array | undefined;
}

/** Copies the key into a buffer of its own and wipes the SDK's array, which may be a slice of a shared pool. */
export function takeKey(plaintext: Uint8Array | undefined, { least, most }: KeySize): Buffer | undefined {
  if (!isUint8Array(plaintext)) return undefined;
  const { length } = plaintext;
  const key = length >= least && length <= most ? Buffer.alloc(length) : undefined;
  key?.set(plaintext);
  plaintext.fill(0);
  return key;
}

/** A copy of the wrap; undefined for what can be none. */
export function takeWrapped(blob: Uint8Array | undefined): Buffer | undefined {
  return isUint8Array(blob) && isWrappedLength(blob.length) ? Buffer.from(blob) : undefined;
}

export function isWrappedLength(length: number): boolean {
  return length > 0 && length <= MAX_WRAPPED_BYTES;
}

/** What was expected and got, as lengths. `fits` says whether the answer is of the KEK that was asked for. */
export function describeAnswer(answer: KeyAnswer, fits: boolean, { least, most }: KeySize): string {
  const wanted = least === most ? `${least}` : `${least} to ${most}`;
  const key = fits ? 'this KEK' : 'another KEK';
  return `expected ${wanted} bytes of plaintext under this KEK, got ${sizeOf(answer.Plaintext)} of plaintext, ${sizeOf(answer.CiphertextBlob)} of ciphertext, ${key}`;
}

export function sizeOf(bytes: Uint8Array | undefined): string {
  return isUint8Array(bytes) ? `${bytes.length} bytes` : 'none';
}
