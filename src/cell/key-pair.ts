/** Key pairs: the public half seals session keys, the private half opens them. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { KeyError } from '../errors.js';
import { closedKey } from './data-key.js';
import { fingerprintBytes } from './fingerprint.js';
import { hpke, type HpkeMessage, KEM_ID } from './hpke.js';
import { asFingerprint, type KeyOwner } from './key-schedule.js';
import { lengthPrefixed } from './length-prefix.js';
import { P256_CURVE, pointOf } from './p256.js';
import { checkName } from './well-formed.js';

/** Whose session keys they are. */
export interface PairOwner extends KeyOwner {
  readonly environment: string;
}

const FINGERPRINT_PREFIX = Buffer.from('fieldseal/v1/pub');
const INFO_PREFIX = Buffer.from('fieldseal/v1/hpke');

/** Seals session keys. Public: whoever holds it can seal, and nobody can tell who did. */
export class PublicKey {
  /** UUID in lower case: the public name of the pair, in every cell that was sealed under it. */
  readonly fingerprint: string;
  /** DER of SubjectPublicKeyInfo, 91 bytes. */
  readonly spki: Buffer;
  /** SHA-256 of the SPKI: what the key store holds to compare the private half with. */
  readonly commitment: Buffer;
  readonly #point: Uint8Array;
  readonly #info: Buffer;

  private constructor(fingerprint: string, spki: Buffer, point: Uint8Array, info: Buffer) {
    this.fingerprint = fingerprint;
    this.spki = spki;
    this.commitment = createHash('sha256').update(spki).digest();
    this.#point = point;
    this.#info = info;
  }

  /**
   * The key of this DER and owner; anybody can compute its fingerprint. The bytes are copied.
   * @throws KeyError `ERR_KEY_COMMITMENT` for what is no P-256 key on the curve; ConfigError `ERR_CONFIG_FIELD`
   */
  static parse(spki: Uint8Array, owner: PairOwner): PublicKey {
    const copy = Buffer.from(spki);
    const point = pointOf(copy);
    if (point === undefined || !isOnCurve(copy)) throw noPublicKey(owner, spki.length);
    const fingerprint = fingerprintOfPair(copy, owner);
    return new PublicKey(fingerprint, copy, point, infoOf(owner, fingerprint));
  }

  /** A session key for the holder of the private half. About 0.25 ms. `session` stays the caller's to wipe. */
  seal(session: Uint8Array): HpkeMessage {
    return hpke.seal(this.#point, this.#info, session);
  }
}

/** Opens session keys. Its key lives inside a KeyObject, never in a property, a string or JSON. */
export class PrivateKey {
  readonly fingerprint: string;
  readonly spki: Buffer;
  /** As {@link PublicKey.commitment}. */
  readonly commitment: Buffer;
  readonly #point: Uint8Array;
  readonly #info: Buffer;
  #key: KeyObject | undefined;

  private constructor(fingerprint: string, spki: Buffer, point: Uint8Array, info: Buffer, key: KeyObject) {
    this.fingerprint = fingerprint;
    this.spki = spki;
    this.commitment = createHash('sha256').update(spki).digest();
    this.#point = point;
    this.#info = info;
    this.#key = key;
  }

  /**
   * The key of this PKCS #8 DER and owner; the public half and the fingerprint are computed from it, so that it proves
   * which key it is. Takes the bytes over and wipes them, also when it throws.
   * @throws KeyError `ERR_KEY_COMMITMENT` for what is no P-256 key; ConfigError `ERR_CONFIG_FIELD`
   */
  static parse(pkcs8: Buffer, owner: PairOwner): PrivateKey {
    try {
      const key = privateKeyOf(pkcs8);
      const spki = key && createPublicKey(key).export({ format: 'der', type: 'spki' });
      const point = spki && pointOf(spki);
      if (!key || !spki || !point) throw noPrivateKey(owner, pkcs8.length);
      const fingerprint = fingerprintOfPair(spki, owner);
      return new PrivateKey(fingerprint, spki, point, infoOf(owner, fingerprint), key);
    } finally {
      pkcs8.fill(0);
    }
  }

  /**
   * The session key, to be wiped by the caller; undefined for a message that was changed or is not for this pair and owner.
   * @throws KeyError `ERR_KEY_CLOSED`
   */
  open(message: HpkeMessage): Buffer | undefined {
    if (!this.#key) throw closedKey(this.fingerprint);
    return hpke.open(this.#key, this.#point, message, this.#info);
  }

  /** Forgets the key. Every use afterwards throws; closing twice is nothing. */
  close(): void {
    this.#key = undefined;
  }

  toString(): string {
    return `[PrivateKey ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** UUIDv8 of SHA-256 over KEM, owner and public key. */
function fingerprintOfPair(spki: Buffer, { application, purpose }: PairOwner): string {
  checkName(application, 'application of a key pair');
  checkName(purpose, 'purpose of a key pair');
  const hash = createHash('sha256');
  hash
    .update(FINGERPRINT_PREFIX)
    .update(KEM_ID)
    .update(lengthPrefixed(application, purpose, spki));
  return asFingerprint(hash.digest());
}

/** What HPKE binds a session key to. */
function infoOf({ application, environment, purpose }: PairOwner, fingerprint: string): Buffer {
  checkName(environment, 'environment of a key pair');
  return Buffer.concat([
    INFO_PREFIX,
    lengthPrefixed(application, environment, purpose),
    fingerprintBytes(fingerprint),
  ]);
}

function isOnCurve(spki: Buffer): boolean {
  try {
    createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}

/** What OpenSSL says of bytes that are no key may quote them, so it is not passed on. */
function privateKeyOf(pkcs8: Buffer): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    return key.asymmetricKeyDetails?.namedCurve === P256_CURVE ? key : undefined;
  } catch {
    return undefined;
  }
}

function noPublicKey({ application, purpose }: PairOwner, length: number): KeyError {
  return new KeyError(
    'ERR_KEY_COMMITMENT',
    `A public key of ${application}/${purpose}: expected 91 bytes of DER with an uncompressed point on P-256, ` +
      `got ${length} bytes of something else; look at where the list of public keys comes from.`,
  );
}

function noPrivateKey({ application, purpose }: PairOwner, length: number): KeyError {
  return new KeyError(
    'ERR_KEY_COMMITMENT',
    `A private key of ${application}/${purpose}: expected a PKCS #8 key on P-256, got ${length} bytes of something ` +
      `else; look at what the KMS or key source returned.`,
  );
}
