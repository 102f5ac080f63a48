/**
 * A KEK in the memory of this process, and what it wraps. Bytes of a wrap: version 1, salt 32, ciphertext 32, tag 16; of a
 * private key's the ciphertext is as long as its DER.
 *
 * Key and nonce of AES-256-GCM come from HKDF-SHA256 (RFC 5869) over the KEK with the salt, as HPKE makes its own (RFC
 * 9180, 5.1); the encryption context is the associated data. A derived key encrypts one key, so the limits of NIST SP
 * 800-38D, 8.3 on random nonces under one key do not come near, however many keys the KEK wraps. AES-256-SIV would serve
 * as well; this is made of approved primitives alone and needs no batch for a message of 32 bytes.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  randomFillSync,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { FINGERPRINT_BYTES } from '../../cell/fingerprint.js';
import { asFingerprint } from '../../cell/key-schedule.js';
import { lengthPrefixed } from '../../cell/length-prefix.js';
import { P256_CURVE } from '../../cell/p256.js';
import { membersOf } from '../wrap-context.js';
import type { BoundContext } from '../wrap-context.js';

const ROOT_BYTES = 32;
const SALT_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const VERSION = 1;
const SALT_AT = 1;
const TEXT_AT = SALT_AT + SALT_BYTES;
const FRAME_BYTES = TEXT_AT + TAG_BYTES;

/** Length of every wrap of a root. */
export const WRAPPED_BYTES = FRAME_BYTES + ROOT_BYTES;

/** Lengths that the wrap of a private key may have: its DER has more bytes than a root and at most 256. */
export const WRAPPED_PAIR_BYTES = { least: WRAPPED_BYTES + 1, most: FRAME_BYTES + 256 } as const;

const CIPHER = 'aes-256-gcm';
const LABEL = 'fieldseal/v1/local-kek';
const ID_INFO = Buffer.from(`${LABEL}/id`);
const WRAP_INFO = Buffer.from(`${LABEL}/wrap`);
const NO_SALT = Buffer.alloc(0);

const PREFIX = 'local:';
const NAME = /^local:[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Whether the text has the form of a name of a local KEK. */
export function isLocalKekName(text: string): boolean {
  return NAME.test(text);
}

export class LocalKek {
  /** UUIDv8 (RFC 9562, 5.8), derived one-way from the key: another key has another id. Public. */
  readonly id: string;
  readonly #key: KeyObject;

  /** A KEK of 32 bytes, which are copied; the caller wipes them. */
  constructor(keyBytes: Buffer) {
    this.#key = createSecretKey(keyBytes);
    this.id = asFingerprint(Buffer.from(hkdfSync('sha256', this.#key, NO_SALT, ID_INFO, FINGERPRINT_BYTES)));
  }

  /** What wraps call it; says nothing of the file's place. */
  get name(): string {
    return `${PREFIX}${this.id}`;
  }

  /** A fresh root and its wrap. The receiver owns `root` and wipes it. */
  generate(context: BoundContext): { readonly root: Buffer; readonly wrapped: Buffer } {
    // Root and salt are one draw: a cloned machine that repeats the salt repeats the root with it, so that no derived
    // key ever encrypts two roots.
    const drawn = randomFillSync(Buffer.alloc(ROOT_BYTES + SALT_BYTES));
    const root = Buffer.alloc(ROOT_BYTES);
    drawn.copy(root);
    const salt = Buffer.from(drawn.subarray(ROOT_BYTES));
    drawn.fill(0);
    return { root, wrapped: this.#wrap(root, salt, context) };
  }

  /** The root in the wrap, which the receiver wipes; undefined when the wrap does not verify under KEK and context. */
  unwrap(wrapped: Uint8Array, context: BoundContext): Buffer | undefined {
    return wrapped.length === WRAPPED_BYTES ? this.#unwrap(wrapped, context) : undefined;
  }

  /** A fresh P-256 pair: its public key as SPKI DER, and the wrap of its private key's PKCS #8 DER. */
  generatePair(context: BoundContext): { readonly publicKey: Buffer; readonly wrapped: Buffer } {
    const { publicKey, privateKey } = generateKeyPairSync('ec', {
      namedCurve: P256_CURVE,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    });
    // OpenSSL draws the private key apart from the salt; a salt that depends on it keeps what `generate` says of clones.
    const drawn = randomFillSync(Buffer.alloc(SALT_BYTES));
    const salt = createHmac('sha256', drawn).update(privateKey).digest();
    drawn.fill(0);
    const wrapped = this.#wrap(privateKey, salt, context);
    privateKey.fill(0);
    return { publicKey, wrapped };
  }

  /** As `unwrap`, the PKCS #8 DER of a private key. */
  unwrapPair(wrapped: Uint8Array, context: BoundContext): Buffer | undefined {
    const { least, most } = WRAPPED_PAIR_BYTES;
    return wrapped.length >= least && wrapped.length <= most ? this.#unwrap(wrapped, context) : undefined;
  }

  toString(): string {
    return `[LocalKek ${this.id}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }

  #wrap(secret: Buffer, salt: Buffer, context: BoundContext): Buffer {
    const { key, nonce } = this.#derive(salt);
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(associatedData(context));
    const text = Buffer.concat([cipher.update(secret), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), salt, text, cipher.getAuthTag()]);
  }

  #unwrap(wrapped: Uint8Array, context: BoundContext): Buffer | undefined {
    if (wrapped[0] !== VERSION) return undefined;
    const { key, nonce } = this.#derive(wrapped.subarray(SALT_AT, TEXT_AT));
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associatedData(context));
    decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
    const secret = decipher.update(wrapped.subarray(TEXT_AT, -TAG_BYTES));
    try {
      decipher.final();
      return secret;
    } catch {
      secret.fill(0);
      return undefined;
    }
  }

  #derive(salt: Uint8Array): { readonly key: KeyObject; readonly nonce: Buffer } {
    const derived = Buffer.from(hkdfSync('sha256', this.#key, salt, WRAP_INFO, KEY_BYTES + NONCE_BYTES));
    const key = createSecretKey(derived.subarray(0, KEY_BYTES));
    const nonce = Buffer.from(derived.subarray(KEY_BYTES));
    derived.fill(0);
    return { key, nonce };
  }
}

/**
 * The version first, so that wraps of a later layout have contexts of their own; then the five or six members, each with
 * its length. The number of parts is part of the text: without a wrapId it is another one than with an empty wrapId.
 */
function associatedData(context: BoundContext): Buffer {
  return lengthPrefixed(LABEL, Buffer.of(VERSION), ...Object.values(membersOf(context)));
}
