/** Key pairs: one fingerprint on both sides, and session keys that open for their pair and owner alone. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type PairOwner, PrivateKey, PublicKey } from '../../src/cell/key-pair.js';

const OWNER: PairOwner = { application: 'shop', environment: 'production', purpose: 'card-number' };

function derOf(namedCurve = 'prime256v1'): { pkcs8: Buffer; spki: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return {
    pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }),
    spki: publicKey.export({ format: 'der', type: 'spki' }),
  };
}

function pair(owner = OWNER): { privateKey: PrivateKey; publicKey: PublicKey } {
  const { pkcs8, spki } = derOf();
  return { privateKey: PrivateKey.parse(pkcs8, owner), publicKey: PublicKey.parse(spki, owner) };
}

const lp = (part: Buffer | string): Buffer => {
  const bytes = Buffer.from(part);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

describe('fingerprint', () => {
  it('is the same on both sides, and the UUIDv8 of what is written down', () => {
    const { privateKey, publicKey } = pair();
    expect(privateKey.fingerprint).toBe(publicKey.fingerprint);
    expect(privateKey.spki).toEqual(publicKey.spki);
    const hash = createHash('sha256')
      .update(
        Buffer.concat([
          Buffer.from('fieldseal/v1/pub'),
          Buffer.of(0, 16),
          lp('shop'),
          lp('card-number'),
          lp(publicKey.spki),
        ]),
      )
      .digest()
      .subarray(0, 16);
    hash[6] = (hash[6]! & 0x0f) | 0x80;
    hash[8] = (hash[8]! & 0x3f) | 0x80;
    expect(publicKey.fingerprint.replaceAll('-', '')).toBe(hash.toString('hex'));
    expect(publicKey.fingerprint).toMatch(
      /^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/u,
    );
  });

  it('is another for another application, purpose or key', () => {
    const { spki } = derOf();
    const of = (owner: Partial<PairOwner>) => PublicKey.parse(spki, { ...OWNER, ...owner }).fingerprint;
    const all = [
      of({}),
      of({ application: 'other' }),
      of({ purpose: 'other' }),
      pair().publicKey.fingerprint,
    ];
    expect(new Set(all).size).toBe(4);
    expect(of({ environment: 'test' })).toBe(of({}));
  });
});

describe('session keys', () => {
  it('open for the holder of the private half', () => {
    const { privateKey, publicKey } = pair();
    const session = randomBytes(32);
    const message = publicKey.seal(session);
    expect(message.encapsulated).toHaveLength(65);
    expect(message.ciphertext).toHaveLength(48);
    expect(privateKey.open(message)).toEqual(session);
  });

  it.each(['application', 'environment', 'purpose'] as const)('do not open under another %s', (member) => {
    const { pkcs8, spki } = derOf();
    const message = PublicKey.parse(spki, OWNER).seal(randomBytes(32));
    expect(PrivateKey.parse(pkcs8, { ...OWNER, [member]: 'other' }).open(message)).toBeUndefined();
  });

  it('do not open by another pair', () => {
    expect(pair().privateKey.open(pair().publicKey.seal(randomBytes(32)))).toBeUndefined();
  });

  it('do not open once the key is closed', () => {
    const { privateKey, publicKey } = pair();
    privateKey.close();
    privateKey.close();
    expect(() => privateKey.open(publicKey.seal(randomBytes(32)))).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_CLOSED' }),
    );
  });
});

describe('bytes that are no key', () => {
  const { spki } = derOf();
  const point = spki.subarray(26);
  const x = point.subarray(1, 33);

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a bare point', point],
    ['a compressed point', Buffer.concat([spki.subarray(0, 26), Buffer.of(2), x])],
    ['a hybrid point', Buffer.concat([spki.subarray(0, 26), Buffer.of(6), point.subarray(1)])],
    ['a point that is not on the curve', Buffer.concat([spki.subarray(0, 27), Buffer.alloc(64, 1)])],
    ['a byte more', Buffer.concat([spki, Buffer.of(0)])],
    ['a byte less', spki.subarray(0, -1)],
    ['a key on another curve', derOf('secp384r1').spki],
    ['a key on another curve of the same size', derOf('secp256k1').spki],
  ])('are refused as a public key: %s', (_name, bytes) => {
    expect(() => PublicKey.parse(bytes, OWNER)).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_COMMITMENT' }),
    );
  });

  it.each<[string, () => Buffer]>([
    ['nothing', () => Buffer.alloc(0)],
    ['rubbish', () => randomBytes(138)],
    ['a public key', () => derOf().spki],
    ['a key on another curve', () => derOf('secp384r1').pkcs8],
    ['a byte less', () => derOf().pkcs8.subarray(0, -1)],
  ])('are refused as a private key, wiped and not shown: %s', (_name, make) => {
    const bytes = make();
    const shown = bytes.toString('hex');
    expect(() => PrivateKey.parse(bytes, OWNER)).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_COMMITMENT' }),
    );
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    if (shown.length > 0)
      expect(inspect(catching(() => PrivateKey.parse(Buffer.from(shown, 'hex'), OWNER)))).not.toContain(
        shown,
      );
  });

  it('are not left behind by a good private key, nor shown by it', () => {
    const { pkcs8 } = derOf();
    const secret = pkcs8.subarray(36, 68).toString('hex');
    const key = PrivateKey.parse(pkcs8, OWNER);
    expect(pkcs8.every((byte) => byte === 0)).toBe(true);
    const shown = `${inspect(key, { depth: 9, showHidden: true })} ${JSON.stringify(key)} ${String(key)}`;
    expect(shown).toContain(`[PrivateKey ${key.fingerprint}]`);
    expect(shown).not.toContain(secret);
  });

  it('are refused with names that are none', () => {
    for (const member of ['application', 'environment', 'purpose'] as const)
      expect(() => PublicKey.parse(spki, { ...OWNER, [member]: '' })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_FIELD' }),
      );
  });
});

function catching(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
