/** What is derived from a root: HKDF-SHA256 (RFC 5869) with the key's kind, its use and its owner in `info`. */
import { hkdfSync } from 'node:crypto';
import { KeyError } from '../errors.js';
import { FINGERPRINT_BYTES, formatFingerprint } from './fingerprint.js';
import { lengthPrefixed } from './length-prefix.js';
import { checkName } from './well-formed.js';

/** Whose key it is. Keys of different owners have nothing in common, even if they came from one root. */
export interface KeyOwner {
  readonly application: string;
  readonly purpose: string;
}

/** Public identity of a key: derived one-way from its root, so it proves which key it is. */
export interface KeyIdentity {
  readonly fingerprint: string;
  /** 32 bytes, to be compared in constant time with what the key store holds. */
  readonly commitment: Buffer;
}

const ROOT_BYTES = 32;
const COMMITMENT_BYTES = 32;
const INFO_PREFIX = Buffer.from('fieldseal/v1/');
const NO_SALT = Buffer.alloc(0);

/** The keys of one root, as long as `use` runs; wiped with the root afterwards. */
export type Derive = (label: string, bytes: number) => Buffer;

/**
 * Derives what `use` asks for and wipes root and derived bytes, whatever happens.
 * @throws KeyError `ERR_KEY_COMMITMENT` when the root has not 32 bytes; ConfigError `ERR_CONFIG_FIELD`
 */
export function withRoot<T>(root: Buffer, kind: string, owner: KeyOwner, use: (derive: Derive) => T): T {
  const derived: Buffer[] = [];
  try {
    checkRoot(root, kind, owner);
    return use((label, bytes) => {
      const info = Buffer.concat([
        INFO_PREFIX,
        lengthPrefixed(kind, label, owner.application, owner.purpose),
      ]);
      const out = Buffer.from(hkdfSync('sha256', root, NO_SALT, info, bytes));
      derived.push(out);
      return out;
    });
  } finally {
    root.fill(0);
    for (const bytes of derived) bytes.fill(0);
  }
}

/** Commitment of the root, and the fingerprint that begins it. */
export function identify(derive: Derive): KeyIdentity {
  const commitment = Buffer.from(derive('commit', COMMITMENT_BYTES));
  return { fingerprint: asFingerprint(commitment), commitment };
}

/** The first 16 bytes as a UUIDv8 (RFC 9562, 5.8). */
export function asFingerprint(hash: Uint8Array): string {
  const id = Buffer.from(hash.subarray(0, FINGERPRINT_BYTES));
  id[6] = (id[6]! & 0x0f) | 0x80;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return formatFingerprint(id, 0);
}

function checkRoot(root: Buffer, kind: string, owner: KeyOwner): void {
  checkName(owner.application, `application of a ${kind} key`);
  checkName(owner.purpose, `purpose of a ${kind} key`);
  if (root.length !== ROOT_BYTES) {
    throw new KeyError(
      'ERR_KEY_COMMITMENT',
      `A ${kind} key of ${owner.application}/${owner.purpose}: expected a root of ${ROOT_BYTES} bytes, ` +
        `got ${root.length}; look at what the KMS or key source returned.`,
    );
  }
}
