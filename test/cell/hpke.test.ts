/** HPKE by the known answers of its RFC, beside another implementation, and against what a forger may send. */
import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as other from 'hpke';
import { describe, expect, it } from 'vitest';
import { AES_256_GCM, type Aead, HKDF_SHA256, Hpke, hpke, type Kdf } from '../../src/cell/hpke.js';
import { P256_CURVE, pointOf } from '../../src/cell/p256.js';
import { hex } from './fixtures.js';

interface Known {
  readonly suite: string;
  readonly kdf: number;
  readonly aead: number;
  readonly info: string;
  readonly ephemeralPrivate: string;
  readonly receiverPublic: string;
  readonly receiverPrivate: string;
  readonly encapsulated: string;
  readonly aad: string;
  readonly plaintext: string;
  readonly ciphertext: string;
}

const file = new URL('../vectors/rfc9180-p256.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Known[] };

const KDFS: readonly Kdf[] = [HKDF_SHA256, { id: 3, hash: 'sha512' }];
const AEADS: readonly Aead[] = [
  { id: 1, cipher: 'aes-128-gcm', keyBytes: 16 },
  AES_256_GCM,
  { id: 3, cipher: 'chacha20-poly1305', keyBytes: 32 },
];

const suiteOf = ({ kdf, aead }: Known): Hpke =>
  new Hpke(
    KDFS.find(({ id }) => id === kdf)!,
    AEADS.find(({ id }) => id === aead)!,
  );

/** A key pair of known bytes. */
function pairOf(secret: Buffer) {
  const ecdh = createECDH(P256_CURVE);
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey();
  const d = secret.toString('base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  const privateKey = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', d, x: x!, y: y! }, format: 'jwk' });
  return { ecdh, point, privateKey };
}

function freshPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: P256_CURVE });
  return { privateKey, publicKey, point: pointOf(publicKey.export({ format: 'der', type: 'spki' }))! };
}

describe('RFC 9180, appendix A', () => {
  it('has three suites on P-256', () => {
    expect(cases.map(({ kdf, aead }) => [kdf, aead])).toEqual([
      [1, 1],
      [3, 1],
      [1, 3],
    ]);
  });

  it.each(cases)('$suite: seals and opens the first message', (known) => {
    const receiver = pairOf(hex(known.receiverPrivate));
    expect(receiver.point).toEqual(hex(known.receiverPublic));
    const [info, aad, plaintext] = [hex(known.info), hex(known.aad), hex(known.plaintext)];
    const ephemeral = pairOf(hex(known.ephemeralPrivate)).ecdh;
    const message = suiteOf(known).seal(receiver.point, info, plaintext, aad, ephemeral);
    expect(message).toEqual({ encapsulated: hex(known.encapsulated), ciphertext: hex(known.ciphertext) });
    expect(suiteOf(known).open(receiver.privateKey, receiver.point, message, info, aad)).toEqual(plaintext);
  });
});

describe('beside another implementation', () => {
  const theirs = new other.CipherSuite(
    other.KEM_DHKEM_P256_HKDF_SHA256,
    other.KDF_HKDF_SHA256,
    other.AEAD_AES_256_GCM,
  );
  const info = new Uint8Array(Buffer.from('an info'));

  it('seals what the other one opens', async () => {
    for (const length of [0, 1, 32, 1000]) {
      const receiver = await theirs.GenerateKeyPair(true);
      const point = await theirs.SerializePublicKey(receiver.publicKey);
      const plaintext = randomBytes(length);
      const { encapsulated, ciphertext } = hpke.seal(point, info, plaintext);
      const opened = await theirs.Open(receiver, Uint8Array.from(encapsulated), Uint8Array.from(ciphertext), {
        info,
      });
      expect(Buffer.from(opened)).toEqual(plaintext);
    }
  });

  it('opens what the other one seals', async () => {
    for (const length of [0, 1, 32, 1000]) {
      const { privateKey, point } = freshPair();
      const plaintext = randomBytes(length);
      const key = await theirs.DeserializePublicKey(Uint8Array.from(point));
      const { encapsulatedSecret, ciphertext } = await theirs.Seal(key, plaintext, { info });
      const message = { encapsulated: encapsulatedSecret, ciphertext };
      expect(hpke.open(privateKey, point, message, info)).toEqual(plaintext);
    }
  });
});

describe('what a forger may send', () => {
  const { privateKey, publicKey, point } = freshPair();
  const info = Buffer.from('info');
  const session = randomBytes(32);
  const message = hpke.seal(point, info, session);
  const open = (more: object, otherInfo = info) =>
    hpke.open(privateKey, point, { ...message, ...more }, otherInfo);

  it('opens unchanged, and never twice the same', () => {
    expect(open({})).toEqual(session);
    const again = hpke.seal(point, info, session);
    expect(again.encapsulated).not.toEqual(message.encapsulated);
    expect(again.ciphertext).not.toEqual(message.ciphertext);
  });

  it.each(['encapsulated', 'ciphertext'] as const)('does not open with any bit of %s changed', (part) => {
    for (let at = 0; at < message[part].length; at++) {
      for (const bit of [0x01, 0x80]) {
        const changed = Buffer.from(message[part]);
        changed[at]! ^= bit;
        expect(open({ [part]: changed })).toBeUndefined();
      }
    }
  });

  it('does not open under another info, or by another key', () => {
    expect(open({}, Buffer.from('other'))).toBeUndefined();
    const another = freshPair();
    expect(hpke.open(another.privateKey, another.point, message, info)).toBeUndefined();
    expect(hpke.open(privateKey, another.point, message, info)).toBeUndefined();
  });

  it.each([0, 1, 15, 16, 47])('does not open a ciphertext of %i bytes', (length) => {
    expect(open({ ciphertext: message.ciphertext.subarray(0, length) })).toBeUndefined();
  });

  it('takes the ephemeral key as an uncompressed point on the curve, and in no other form', () => {
    const x = message.encapsulated.subarray(1, 33);
    const odd = message.encapsulated[64]! & 1;
    const compressed = Buffer.concat([Buffer.of(2 + odd), x]);
    const hybrid = Buffer.concat([Buffer.of(6 + odd), message.encapsulated.subarray(1)]);
    const ecdh = createECDH(P256_CURVE);
    ecdh.setPrivateKey(Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url'));
    // Node agrees on the same secret with each of them: without a look at the form, one cell would have three.
    for (const form of [compressed, hybrid])
      expect(ecdh.computeSecret(form)).toEqual(ecdh.computeSecret(message.encapsulated));
    const notOnCurve = Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]);
    for (const form of [compressed, hybrid, notOnCurve, Buffer.of(0), Buffer.alloc(0), Buffer.alloc(65)])
      expect(open({ encapsulated: form })).toBeUndefined();
  });

  it('refuses to seal for a point that is not on the curve', () => {
    expect(() => hpke.seal(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]), info, session)).toThrow();
    expect(createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }))).toBeDefined();
  });
});
