/**
 * The door of the process for keys: an unwrapped root, or private half, becomes a key only when fingerprint and
 * commitment, derived anew from it, are those it came with. Its bytes are wiped whatever happens.
 */
import { timingSafeEqual } from 'node:crypto';
import { DataKey } from '../cell/data-key.js';
import type { KeyOwner } from '../cell/data-key.js';
import { IndexKey } from '../cell/index-key.js';
import { PrivateKey, type PairOwner } from '../cell/key-pair.js';
import { KeyError } from '../errors.js';
import type { UnwrappedKey } from './ports.js';

const ROOT_BYTES = 32;

interface DerivedKey {
  readonly fingerprint: string;
  readonly commitment: Buffer;
  close(): void;
}

/**
 * A data key that is what its fingerprint says.
 * @throws KeyError `ERR_KEY_COMMITMENT`.
 */
export function admitDataKey(unwrapped: UnwrappedKey, owner: KeyOwner): DataKey {
  return admit(unwrapped, (root) => {
    checkRoot(unwrapped);
    return DataKey.derive(root, owner);
  });
}

/**
 * A private key that is the half of the pair that its fingerprint names.
 * @throws KeyError `ERR_KEY_COMMITMENT`.
 */
export function admitPrivateKey(unwrapped: UnwrappedKey, owner: PairOwner): PrivateKey {
  return admit(unwrapped, (pkcs8) => PrivateKey.parse(pkcs8, owner));
}

/**
 * The index key of this version.
 * @throws KeyError `ERR_KEY_COMMITMENT`.
 */
export function admitIndexKey(unwrapped: UnwrappedKey, owner: KeyOwner, version: number): IndexKey {
  return admit(unwrapped, (root) => {
    checkRoot(unwrapped);
    if (unwrapped.version === version) return IndexKey.derive(root, owner, version);
    throw mismatch(unwrapped, `an index key of version ${version}`, `version ${unwrapped.version}`);
  });
}

/** Wipes the root of a key that is not wanted. */
export function refuseKey(unwrapped: UnwrappedKey): void {
  unwrapped.root.fill(0);
}

function admit<Key extends DerivedKey>(unwrapped: UnwrappedKey, derive: (root: Buffer) => Key): Key {
  try {
    const key = derive(unwrapped.root);
    if (isNamed(key, unwrapped)) return key;
    key.close();
    throw mismatch(unwrapped, 'the root that its fingerprint and commitment name', 'another root');
  } finally {
    refuseKey(unwrapped);
  }
}

function checkRoot(unwrapped: UnwrappedKey): void {
  const { length } = unwrapped.root;
  if (length !== ROOT_BYTES) throw mismatch(unwrapped, `a root of ${ROOT_BYTES} bytes`, String(length));
}

function isNamed(key: DerivedKey, claim: UnwrappedKey): boolean {
  const { commitment } = claim;
  return (
    key.fingerprint === claim.fingerprint &&
    key.commitment.length === commitment.length &&
    timingSafeEqual(key.commitment, commitment)
  );
}

function mismatch(unwrapped: UnwrappedKey, expected: string, got: string): KeyError {
  return new KeyError(
    'ERR_KEY_COMMITMENT',
    `Key ${unwrapped.fingerprint}: expected ${expected}, got ${got}. The key store or the KMS gave a key that is not ` +
      'the one asked for; compare its row with a backup, and do not use it.',
  );
}
