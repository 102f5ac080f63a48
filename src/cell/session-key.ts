/** Session keys: random, sealed to a key pair, and carried by each cell that they sealed. */
import { randomBytes } from 'node:crypto';
import { DataKey } from './data-key.js';
import type { SealedParts } from './delivery-header.js';
import type { KeyOwner } from './key-schedule.js';
import type { PrivateKey, PublicKey } from './key-pair.js';

const ROOT_BYTES = 32;

/**
 * A new session key, which seals cells of delivery `sealed`. Only the holder of the private half opens them once it is
 * closed. About 0.3 ms.
 * @param owner The one that the public key was parsed for.
 * @throws ConfigError `ERR_CONFIG_FIELD`
 */
export function sealSession(publicKey: PublicKey, owner: KeyOwner): DataKey {
  const root = randomBytes(ROOT_BYTES);
  try {
    const { encapsulated, ciphertext } = publicKey.seal(root);
    return DataKey.deriveSession(root, owner, publicKey.fingerprint, {
      encapsulated,
      sessionKey: ciphertext,
    });
  } finally {
    root.fill(0);
  }
}

/**
 * The session key of a cell, from its delivery header. Undefined when the header was changed or is not for this pair and
 * owner. It proves nothing about who sealed it: public keys are public. About 0.5 ms.
 * @param owner The one that the private key was parsed for.
 * @throws KeyError `ERR_KEY_CLOSED`, and `ERR_KEY_COMMITMENT` for a session key of another size than 32 bytes;
 * ConfigError `ERR_CONFIG_FIELD`
 */
export function openSession(
  privateKey: PrivateKey,
  owner: KeyOwner,
  { encapsulated, sessionKey }: SealedParts,
): DataKey | undefined {
  const root = privateKey.open({ encapsulated, ciphertext: sessionKey });
  return root && DataKey.deriveSession(root, owner, privateKey.fingerprint, { encapsulated, sessionKey });
}
