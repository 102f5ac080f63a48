import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  randomBytes,
  randomUUID,
} from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  isLocalKekName,
  LocalKek,
  WRAPPED_BYTES,
  WRAPPED_PAIR_BYTES,
} from '../../../src/kms/local/local-kek.js';
import { envelopeContext } from '../../../src/kms/wrap-context.js';
import type { BoundContext } from '../../../src/kms/wrap-context.js';
import { recordKey } from '../../canary.js';
import { CARD, SCOPE } from '../kms.js';
import { expectNoKey } from './key-files.js';

const ENVELOPE = envelopeContext(SCOPE);
const PAIR = { ...CARD, kind: 'pair', delivery: 'sealed' } as const;

const PARTS = [
  ['version', 0, 1],
  ['salt', 1, 33],
  ['ciphertext', 33, 65],
  ['tag', 65, 81],
] as const;

function newKek(): { readonly kek: LocalKek; readonly keyBytes: Buffer } {
  const keyBytes = randomBytes(32);
  recordKey(keyBytes);
  return { kek: new LocalKek(keyBytes), keyBytes };
}

function generated(kek: LocalKek, context: BoundContext = CARD) {
  const made = kek.generate(context);
  recordKey(made.root);
  return made;
}

describe('a local KEK', () => {
  it('opens what it wrapped', () => {
    const { kek } = newKek();
    const { root, wrapped } = generated(kek);
    expect(kek.unwrap(wrapped, CARD)).toEqual(root);
  });

  it('wraps 32 random bytes in 81, with another salt each time', () => {
    const { kek } = newKek();
    const made = Array.from({ length: 50 }, () => generated(kek));
    for (const { root, wrapped } of made) {
      expect([root.length, wrapped.length]).toEqual([32, WRAPPED_BYTES]);
      expect(wrapped.includes(root)).toBe(false);
    }
    expect(new Set(made.map(({ wrapped }) => wrapped.toString('hex', 1, 33))).size).toBe(50);
  });

  it.each(PARTS)('refuses a wrap with any bit of its %s flipped', (_part, from, to) => {
    const { kek } = newKek();
    const { wrapped } = generated(kek);
    for (let bit = from * 8; bit < to * 8; bit++) {
      const changed = Buffer.from(wrapped);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(kek.unwrap(changed, CARD)).toBeUndefined();
    }
  });

  it.each([0, 1, 33, 80, 82, 6_144])('refuses a wrap of %i bytes', (length) => {
    const { kek } = newKek();
    const { wrapped } = generated(kek);
    const other = Buffer.alloc(length);
    wrapped.copy(other);
    expect(kek.unwrap(other, CARD)).toBeUndefined();
  });

  it.each([
    ['application', { application: 'shop2' }],
    ['environment', { environment: 'tesT' }],
    ['purpose', { purpose: 'personal-data' }],
    ['kind', { kind: 'store' }],
    ['delivery', { delivery: 'envelope' }],
    ['wrapId', { wrapId: randomUUID() }],
    ['boundary between two names', { application: 'shopt', environment: 'est' }],
    ['order of two names', { application: 'test', environment: 'shop' }],
  ] as const)('refuses a wrap whose %s is another', (_member, change) => {
    const { kek } = newKek();
    const { wrapped } = generated(kek);
    expect(kek.unwrap(wrapped, { ...CARD, ...change })).toBeUndefined();
  });

  it('refuses a wrap of another KEK', () => {
    const { wrapped } = generated(newKek().kek);
    expect(newKek().kek.unwrap(wrapped, CARD)).toBeUndefined();
  });

  it('has a name that another key does not have, and that the bytes given to it do not change later', () => {
    const { kek, keyBytes } = newKek();
    expect(isLocalKekName(kek.name)).toBe(true);
    expect(new LocalKek(keyBytes).name).toBe(kek.name);
    expect(newKek().kek.name).not.toBe(kek.name);
    const { root, wrapped } = generated(kek);
    keyBytes.fill(0);
    expect(kek.unwrap(wrapped, CARD)).toEqual(root);
  });

  it('shows its id alone in inspect, JSON and text', () => {
    const { kek, keyBytes } = newKek();
    const shown = [inspect(kek, { depth: 9, showHidden: true }), JSON.stringify({ kek }), String(kek)];
    for (const text of shown) expect(text).toContain(`[LocalKek ${kek.id}]`);
    expectNoKey(shown.join('\n'), keyBytes);
    expect(Object.keys(kek)).toEqual(['id']);
  });
});

describe('a wrap without wrapId', () => {
  it('opens without one, and with none whatever, not even an empty one', () => {
    const { kek } = newKek();
    const { root, wrapped } = generated(kek, ENVELOPE);
    expect(kek.unwrap(wrapped, ENVELOPE)).toEqual(root);
    for (const wrapId of ['', '\0', CARD.wrapId, 'undefined']) {
      expect(kek.unwrap(wrapped, { ...ENVELOPE, wrapId })).toBeUndefined();
      expect(kek.unwrap(wrapped, { ...CARD, wrapId })).toBeUndefined();
    }
  });

  it('is not what a wrap with an empty wrapId is, be all else the same', () => {
    const { kek } = newKek();
    for (const delivery of ['pool', 'envelope'] as const) {
      const { wrapped } = generated(kek, { ...CARD, delivery, wrapId: '' });
      expect(kek.unwrap(wrapped, { ...ENVELOPE, delivery })).toBeUndefined();
    }
  });

  it('does not take its last name for a wrapId', () => {
    const { kek } = newKek();
    const { wrapped } = generated(kek, ENVELOPE);
    const shifted = { ...ENVELOPE, application: '', environment: SCOPE.application } as BoundContext;
    expect(kek.unwrap(wrapped, { ...shifted, wrapId: ENVELOPE.delivery })).toBeUndefined();
  });
});

describe('a wrapped pair', () => {
  it('opens to the private key of its public key', () => {
    const { kek } = newKek();
    const { publicKey, wrapped } = kek.generatePair(PAIR);
    const pkcs8 = kek.unwrapPair(wrapped, PAIR)!;
    recordKey(pkcs8);
    expect(wrapped).toHaveLength(49 + pkcs8.length);
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
    expect(key.export({ format: 'der', type: 'spki' })).toEqual(publicKey);
    expect(publicKey).toHaveLength(91);
  });

  it('has another salt each time', () => {
    const { kek } = newKek();
    const salts = Array.from({ length: 20 }, () => kek.generatePair(PAIR).wrapped.toString('hex', 1, 33));
    expect(new Set(salts).size).toBe(20);
  });

  it('is refused with any bit flipped, cut, or longer', () => {
    const { kek } = newKek();
    const { wrapped } = kek.generatePair(PAIR);
    for (let bit = 0; bit < wrapped.length * 8; bit++) {
      const changed = Buffer.from(wrapped);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(kek.unwrapPair(changed, PAIR)).toBeUndefined();
    }
    const { least, most } = WRAPPED_PAIR_BYTES;
    for (const length of [
      0,
      1,
      WRAPPED_BYTES,
      least,
      wrapped.length - 1,
      wrapped.length + 1,
      most,
      most + 1,
    ]) {
      const other = Buffer.alloc(length);
      wrapped.copy(other);
      expect(kek.unwrapPair(other, PAIR)).toBeUndefined();
    }
  });

  it('is no root and a root is none, even of the same context', () => {
    const { kek } = newKek();
    expect(kek.unwrap(kek.generatePair(PAIR).wrapped, PAIR)).toBeUndefined();
    expect(kek.unwrapPair(generated(kek, PAIR).wrapped, PAIR)).toBeUndefined();
  });
});

describe('the bytes of a wrap', () => {
  it('are opened by what the comment of local-kek.ts says, written down a second time', () => {
    const { kek, keyBytes } = newKek();
    for (const context of [CARD, ENVELOPE]) {
      const { root, wrapped } = generated(kek, context);
      expect(openedAsDocumented(keyBytes, wrapped, context)).toEqual(root);
    }
    const { wrapped } = kek.generatePair(PAIR);
    expect(openedAsDocumented(keyBytes, wrapped, PAIR)).toEqual(kek.unwrapPair(wrapped, PAIR));
  });

  it('carry the name of a KEK as UUIDv8 of what HKDF gives', () => {
    for (let i = 0; i < 20; i++) {
      const { kek, keyBytes } = newKek();
      const hex = Buffer.from(hkdfSync('sha256', keyBytes, '', 'fieldseal/v1/local-kek/id', 16)).toString(
        'hex',
      );
      const variant = '89ab'[parseInt(hex[16]!, 16) & 3]!;
      const parts = [
        hex.slice(0, 8),
        hex.slice(8, 12),
        `8${hex.slice(13, 16)}`,
        variant + hex.slice(17, 20),
        hex.slice(20),
      ];
      expect(kek.name).toBe(`local:${parts.join('-')}`);
    }
  });

  // Made once and kept: a KEK and a wrap of this version have to open for ever.
  it('of version 1 stay what they are', () => {
    const kek = new LocalKek(Buffer.from(KEPT.key, 'hex'));
    expect(kek.name).toBe(KEPT.name);
    expect(kek.unwrap(Buffer.from(KEPT.wrapped, 'hex'), CARD)?.toString('hex')).toBe(KEPT.root);
    const { envelope, pair } = KEPT;
    expect(kek.unwrap(Buffer.from(envelope.wrapped, 'hex'), ENVELOPE)?.toString('hex')).toBe(envelope.root);
    const pkcs8 = kek.unwrapPair(Buffer.from(pair.wrapped, 'hex'), PAIR)!;
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
    expect(key.export({ format: 'der', type: 'spki' }).toString('hex')).toBe(pair.publicKey);
  });
});

const KEPT = {
  key: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  name: 'local:f1cfd7b7-89c5-8674-989b-bec7f25cd725',
  root: 'c420be13304893b65637f77702c93a19ced1d3ab604a8e175e20c585e123ded0',
  wrapped:
    '01000d70ebc78137a0bcda7883ee7a407a6c7cd814d9f3f16b98f9951813118b52' +
    '574acc6690db5a5efdb896838e3cb8ef7be9e2daa174e17733fb5fa5cdce196efa0e44cc5df687ce4b19bb4636fed202',
  envelope: {
    root: '384a606366b26ee7b5b508d2f1b9baa52bd22992d4fb68062ad16ebc047164c8',
    wrapped:
      '0131b56fa4c736a9379fbd992ea4dba1729b7071e40c31a26e1f7296ffda75e005f182bdd962b9bbf9c97cdaba0ebd84' +
      '4ac0aede38543a130373ee8e1cc5c2d3d215fc2b964aee30f3b25c48f7ff439b7e',
  },
  pair: {
    publicKey:
      '3059301306072a8648ce3d020106082a8648ce3d030107034200042c30260d424b591cf2677429a9b71676fbf209da35' +
      '3fa5f229acd4a324485f9d14e882cc3b102dbcf25ae0c7142a30166626df5cc337c2bd74450911e1a571ee',
    wrapped:
      '01c99768a85155a0398537d8be18faff41279c69bceef33a9960b3582b0f2800200bd631bc877fae2cddfb6e60034241' +
      'b4d9ca4c165e5e4874ab6edf8ca81786c212403b8b5426e9fff9cb5b791c22997b68d8d75a114349e2ec9530df0e7aa4' +
      'c7815671d0ab1feae43eee54d9a7077b24c2a4323503ff7e93ac326b6cc1eb0e425432dfc4b05359ded3094342cbb15a' +
      '02631b526784637ba172037cd26c9e8c8b618f69c364c5422ebf3f87df91baa96cefcaa0b221ef6dbecaf0',
  },
};

/** Independent of the code under test but for Node's primitives. */
function openedAsDocumented(keyBytes: Buffer, wrapped: Buffer, context: BoundContext): Buffer {
  const info = 'fieldseal/v1/local-kek/wrap';
  const derived = Buffer.from(hkdfSync('sha256', keyBytes, wrapped.subarray(1, 33), info, 44));
  const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32));
  const { application, environment, purpose, kind, delivery, wrapId } = context;
  const names = [
    application,
    environment,
    purpose,
    kind,
    delivery,
    ...(wrapId === undefined ? [] : [wrapId]),
  ];
  const parts = ['fieldseal/v1/local-kek', '\x01', ...names];
  decipher.setAAD(
    Buffer.concat(
      parts.map((part) => {
        const bytes = Buffer.from(`\0\0\0\0${part}`);
        bytes.writeUInt32BE(bytes.length - 4);
        return bytes;
      }),
    ),
  );
  decipher.setAuthTag(wrapped.subarray(-16));
  return Buffer.concat([decipher.update(wrapped.subarray(33, -16)), decipher.final()]);
}
