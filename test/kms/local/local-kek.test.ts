import { createDecipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { WrapContext } from '../../../src/keys/ports.js';
import { isLocalKekName, LocalKek, WRAPPED_BYTES } from '../../../src/kms/local/local-kek.js';
import { recordKey } from '../../canary.js';
import { CARD } from '../kms.js';
import { expectNoKey } from './key-files.js';

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

function generated(kek: LocalKek, context: WrapContext = CARD) {
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

describe('the bytes of a wrap', () => {
  it('are opened by what the comment of local-kek.ts says, written down a second time', () => {
    const { kek, keyBytes } = newKek();
    const { root, wrapped } = generated(kek);
    expect(openedAsDocumented(keyBytes, wrapped, CARD)).toEqual(root);
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
  });
});

const KEPT = {
  key: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  name: 'local:f1cfd7b7-89c5-8674-989b-bec7f25cd725',
  root: 'c420be13304893b65637f77702c93a19ced1d3ab604a8e175e20c585e123ded0',
  wrapped:
    '01000d70ebc78137a0bcda7883ee7a407a6c7cd814d9f3f16b98f9951813118b52' +
    '574acc6690db5a5efdb896838e3cb8ef7be9e2daa174e17733fb5fa5cdce196efa0e44cc5df687ce4b19bb4636fed202',
};

/** Independent of the code under test but for Node's primitives. */
function openedAsDocumented(keyBytes: Buffer, wrapped: Buffer, context: WrapContext): Buffer {
  const info = 'fieldseal/v1/local-kek/wrap';
  const derived = Buffer.from(hkdfSync('sha256', keyBytes, wrapped.subarray(1, 33), info, 44));
  const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32));
  const { application, environment, purpose, kind, delivery, wrapId } = context;
  const parts = ['fieldseal/v1/local-kek', '\x01', application, environment, purpose, kind, delivery, wrapId];
  decipher.setAAD(
    Buffer.concat(
      parts.map((part) => {
        const bytes = Buffer.from(`\0\0\0\0${part}`);
        bytes.writeUInt32BE(bytes.length - 4);
        return bytes;
      }),
    ),
  );
  decipher.setAuthTag(wrapped.subarray(65));
  return Buffer.concat([decipher.update(wrapped.subarray(33, 65)), decipher.final()]);
}
