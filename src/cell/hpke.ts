/**
 * HPKE (RFC 9180) in base mode, for one message under each encapsulated key. Synchronous, on node:crypto; the libraries
 * are built on WebCrypto, whose promises cost several times what the curve does.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHmac,
  createPublicKey,
  diffieHellman,
  type ECDH,
  type KeyObject,
} from 'node:crypto';
import { P256_CURVE, spkiOf } from './p256.js';

/** DHKEM(P-256, HKDF-SHA256), RFC 9180, 7.1. */
export const KEM_ID = Buffer.of(0x00, 0x10);
const KEM_HASH = 'sha256';

/** RFC 9180, 7.2. */
export interface Kdf {
  readonly id: number;
  readonly hash: 'sha256' | 'sha512';
}

/** RFC 9180, 7.3. Tags have 16 bytes, nonces 12. */
export interface Aead {
  readonly id: number;
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
}

export const HKDF_SHA256: Kdf = { id: 1, hash: 'sha256' };
export const AES_256_GCM: Aead = { id: 2, cipher: 'aes-256-gcm', keyBytes: 32 };

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SECRET_BYTES = 32;
const VERSION = Buffer.from('HPKE-v1');
const BASE_MODE = Buffer.of(0);
const NOTHING = Buffer.alloc(0);

/** A message on its way to the holder of a private key. */
export interface HpkeMessage {
  /** 65 bytes: the ephemeral public key as an uncompressed point (SEC 1, 2.3.3). */
  readonly encapsulated: Uint8Array;
  /** 16 bytes more than what it holds. */
  readonly ciphertext: Uint8Array;
}

/** One suite of HPKE. Safe to share; holds no key. */
export class Hpke {
  readonly #kdf: Kdf;
  readonly #aead: Aead;
  readonly #suiteId: Buffer;

  constructor(kdf: Kdf, aead: Aead) {
    this.#kdf = kdf;
    this.#aead = aead;
    this.#suiteId = Buffer.concat([Buffer.from('HPKE'), KEM_ID, u16(kdf.id), u16(aead.id)]);
  }

  /**
   * @param point Public key of the receiver, 65 bytes, that lies on the curve.
   * @param ephemeral With its key pair; for known answers only.
   */
  seal(
    point: Uint8Array,
    info: Uint8Array,
    plaintext: Uint8Array,
    aad: Uint8Array = NOTHING,
    ephemeral = fresh(),
  ): HpkeMessage {
    const encapsulated = ephemeral.getPublicKey();
    const dh = ephemeral.computeSecret(point);
    return this.#withKeys(dh, encapsulated, point, info, (key, nonce) => {
      const cipher = createCipheriv(this.#aead.cipher as 'aes-256-gcm', key, nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(aad);
      const text = cipher.update(plaintext);
      cipher.final();
      return { encapsulated, ciphertext: Buffer.concat([text, cipher.getAuthTag()]) };
    });
  }

  /**
   * What the message holds, to be wiped by whoever asks; undefined when it is not for this key, was changed, or its
   * encapsulated key is no uncompressed point of the curve.
   * @param point The public half of `privateKey`.
   */
  open(
    privateKey: KeyObject,
    point: Uint8Array,
    { encapsulated, ciphertext }: HpkeMessage,
    info: Uint8Array,
    aad: Uint8Array = NOTHING,
  ): Buffer | undefined {
    if (ciphertext.length < TAG_BYTES) return undefined;
    const dh = agree(privateKey, encapsulated);
    if (dh === undefined) return undefined;
    return this.#withKeys(dh, encapsulated, point, info, (key, nonce) => {
      const end = ciphertext.length - TAG_BYTES;
      const cipher = createDecipheriv(this.#aead.cipher as 'aes-256-gcm', key, nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(aad);
      cipher.setAuthTag(ciphertext.subarray(end));
      const text = cipher.update(ciphertext.subarray(0, end));
      try {
        cipher.final();
        return text;
      } catch {
        text.fill(0); // was released before it was authenticated
        return undefined;
      }
    });
  }

  /** From the agreed point to key and nonce of the first message (RFC 9180, 4.1 and 5.1); everything is wiped behind `use`. */
  #withKeys<T>(
    dh: Buffer,
    encapsulated: Uint8Array,
    point: Uint8Array,
    info: Uint8Array,
    use: (key: Buffer, nonce: Buffer) => T,
  ): T {
    const kem = new Labeled(KEM_HASH, Buffer.concat([Buffer.from('KEM'), KEM_ID]));
    const hpke = new Labeled(this.#kdf.hash, this.#suiteId);
    try {
      const prk = kem.extract(NOTHING, 'eae_prk', dh);
      const shared = kem.expand(prk, 'shared_secret', Buffer.concat([encapsulated, point]), SECRET_BYTES);
      const context = Buffer.concat([
        BASE_MODE,
        hpke.extract(NOTHING, 'psk_id_hash', NOTHING),
        hpke.extract(NOTHING, 'info_hash', info),
      ]);
      const secret = hpke.extract(shared, 'secret', NOTHING);
      return use(
        hpke.expand(secret, 'key', context, this.#aead.keyBytes),
        hpke.expand(secret, 'base_nonce', context, NONCE_BYTES),
      );
    } finally {
      dh.fill(0);
      kem.wipe();
      hpke.wipe();
    }
  }
}

/** The suite of fieldseal. */
export const hpke = new Hpke(HKDF_SHA256, AES_256_GCM);

/** LabeledExtract and LabeledExpand (RFC 9180, 4) over HKDF (RFC 5869). Remembers what it made, to wipe it. */
class Labeled {
  readonly #hash: Kdf['hash'];
  readonly #suiteId: Buffer;
  readonly #made: Buffer[] = [];

  constructor(hash: Kdf['hash'], suiteId: Buffer) {
    this.#hash = hash;
    this.#suiteId = suiteId;
  }

  extract(salt: Buffer, label: string, ikm: Uint8Array): Buffer {
    return this.#mac(salt, VERSION, this.#suiteId, Buffer.from(label), ikm);
  }

  /** At most one block of the hash: HKDF-Expand makes do with a single MAC (RFC 5869, 2.3). */
  expand(prk: Buffer, label: string, info: Uint8Array, bytes: number): Buffer {
    const length = u16(bytes);
    return this.#mac(prk, length, VERSION, this.#suiteId, Buffer.from(label), info, Buffer.of(1)).subarray(
      0,
      bytes,
    );
  }

  wipe(): void {
    for (const bytes of this.#made) bytes.fill(0);
  }

  #mac(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
    const hmac = createHmac(this.#hash, key);
    for (const part of parts) hmac.update(part);
    const out = hmac.digest();
    this.#made.push(out);
    return out;
  }
}

function fresh(): ECDH {
  const ecdh = createECDH(P256_CURVE);
  ecdh.generateKeys();
  return ecdh;
}

/** Undefined for bytes that are no point; OpenSSL looks whether the point lies on the curve (RFC 9180, 7.1.4). */
function agree(privateKey: KeyObject, encapsulated: Uint8Array): Buffer | undefined {
  const spki = spkiOf(encapsulated);
  if (spki === undefined) return undefined;
  try {
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return undefined;
  }
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}
