import { createHmac, hkdfSync } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { blindIndexes } from '../../src/cell/blind-index.js';
import { DataKey } from '../../src/cell/data-key.js';
import { IndexKey } from '../../src/cell/index-key.js';
import { StoreKey } from '../../src/cell/store-key.js';
import { openOne, OWNER, sealOne, someColumn, someKey, thrownBy } from './fixtures.js';

const ROOT = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');

/** HKDF as the design writes it, without the code under test. */
function derived(kind: string, label: string, bytes: number): Buffer {
  const lp = (text: string): string => `\0\0\0${String.fromCharCode(text.length)}${text}`;
  const info = `fieldseal/v1/${lp(kind)}${lp(label)}${lp(OWNER.application)}${lp(OWNER.purpose)}`;
  return Buffer.from(hkdfSync('sha256', ROOT, '', info, bytes));
}

const WRAP = { kekRef: Buffer.alloc(8, 1), wrapped: Buffer.alloc(184, 2) };
const KINDS = [
  ['data', (root: Buffer) => DataKey.derive(root, OWNER)],
  ['data', (root: Buffer) => DataKey.deriveEnvelope(root, OWNER, WRAP)],
  ['index', (root: Buffer) => IndexKey.derive(root, OWNER, 1)],
  ['store', (root: Buffer) => StoreKey.derive(root, OWNER)],
] as const;

describe.each(KINDS)('a %s key', (kind, derive) => {
  test('has the commitment of its kind and owner, and a UUIDv8 from it as its fingerprint', () => {
    const key = derive(Buffer.from(ROOT));
    const commitment = derived(kind, 'commit', 32);
    expect(key.commitment.equals(commitment)).toBe(true);
    expect(key.fingerprint).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const id = key.fingerprint.replaceAll('-', '');
    expect(id.slice(0, 12)).toBe(commitment.toString('hex', 0, 6));
    expect(id.slice(20)).toBe(commitment.toString('hex', 10, 16));
  });

  test('wipes its root, also when it refuses it', () => {
    for (const bytes of [32, 31, 64]) {
      const root = Buffer.alloc(bytes, 5);
      if (bytes === 32) derive(root);
      else expect(thrownBy(() => derive(root)).code).toBe('ERR_KEY_COMMITMENT');
      expect(root.equals(Buffer.alloc(bytes))).toBe(true);
    }
  });

  test('differs between roots and shows no key byte in inspect, JSON or text', () => {
    const key = derive(Buffer.from(ROOT));
    expect(derive(Buffer.alloc(32, 1)).fingerprint).not.toBe(key.fingerprint);
    const shown = `${inspect(key, { depth: 9, showHidden: true })} ${JSON.stringify({ key })} ${String(key)}`;
    expect(shown).toContain(key.fingerprint);
    for (const label of ['siv', 'xaes', 'index', 'mac']) {
      const secret = derived(kind, label, 32).toString('hex');
      expect(shown.replaceAll(' ', '')).not.toContain(secret.slice(0, 16));
    }
    expect(JSON.stringify({ key })).not.toContain('Buffer');
  });
});

describe('what the cells of a key carry', () => {
  const session = { encapsulated: Buffer.alloc(65, 4), sessionKey: Buffer.alloc(48, 5) };
  const PAIR = 'a023cee5-4a23-8619-9af7-aa975173cc33';
  const root = (): Buffer => Buffer.from(ROOT);

  test('is nothing, a wrap, or a sealed session key', () => {
    const pool = DataKey.derive(root(), OWNER);
    expect([pool.delivery, pool.header.length]).toEqual(['pool', 0]);
    const envelope = DataKey.deriveEnvelope(root(), OWNER, WRAP);
    expect(envelope.delivery).toBe('envelope');
    expect(envelope.header).toEqual(Buffer.concat([WRAP.kekRef, Buffer.of(0, 184), WRAP.wrapped]));
    const sealed = DataKey.deriveSession(root(), OWNER, PAIR, session);
    expect(sealed).toMatchObject({ delivery: 'sealed', fingerprint: PAIR });
    expect(sealed.header).toEqual(Buffer.concat([session.encapsulated, session.sessionKey]));
    expect(sealed.commitment).toHaveLength(0);
  });

  test('leaves identity and bytes of a data key as they are, and a session key is another kind', () => {
    const [pool, envelope] = [DataKey.derive(root(), OWNER), DataKey.deriveEnvelope(root(), OWNER, WRAP)];
    expect(envelope.fingerprint).toBe(pool.fingerprint);
    expect(envelope.commitment).toEqual(pool.commitment);
    const cell = sealOne('x', { key: pool });
    expect(openOne(cell, { key: envelope })).toBe('x');
    const sealed = DataKey.deriveSession(root(), OWNER, pool.fingerprint, session);
    expect(openOne(cell, { key: sealed })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  test.each<[string, (root: Buffer) => DataKey]>([
    [
      'a KEK reference of 7 bytes',
      (r) => DataKey.deriveEnvelope(r, OWNER, { ...WRAP, kekRef: Buffer.alloc(7) }),
    ],
    ['an empty wrap', (r) => DataKey.deriveEnvelope(r, OWNER, { ...WRAP, wrapped: Buffer.alloc(0) })],
    [
      'a wrap of 6,145 bytes',
      (r) => DataKey.deriveEnvelope(r, OWNER, { ...WRAP, wrapped: Buffer.alloc(6145) }),
    ],
    [
      'a wrap of 70,000 bytes',
      (r) => DataKey.deriveEnvelope(r, OWNER, { ...WRAP, wrapped: Buffer.alloc(70_000) }),
    ],
    [
      'a compressed point',
      (r) => DataKey.deriveSession(r, OWNER, PAIR, { ...session, encapsulated: Buffer.alloc(65, 2) }),
    ],
    [
      'a point of 64 bytes',
      (r) => DataKey.deriveSession(r, OWNER, PAIR, { ...session, encapsulated: Buffer.alloc(64, 4) }),
    ],
    [
      'a sealed session key of 49 bytes',
      (r) => DataKey.deriveSession(r, OWNER, PAIR, { ...session, sessionKey: Buffer.alloc(49) }),
    ],
  ])('is not %s, and the root is wiped all the same', (_, derive) => {
    const given = root();
    const error = thrownBy(() => derive(given));
    expect(error).toMatchObject({ code: 'ERR_FORMAT_CELL', retryable: false });
    expect(given.equals(Buffer.alloc(32))).toBe(true);
  });

  test('comes with no session key of a root that has not 32 bytes', () => {
    const given = Buffer.alloc(31, 5);
    const error = thrownBy(() => DataKey.deriveSession(given, OWNER, PAIR, session));
    expect(error.code).toBe('ERR_KEY_COMMITMENT');
    expect(given.equals(Buffer.alloc(31))).toBe(true);
  });
});

describe('keys', () => {
  test('of another application or purpose have nothing in common', () => {
    const others = [
      { application: 'shop', purpose: 'personal-data' },
      { application: 'hub', purpose: 'card-number' },
      { application: 'shopc', purpose: 'ard-number' },
    ].map((owner) => DataKey.derive(Buffer.from(ROOT), owner));
    const all = [DataKey.derive(Buffer.from(ROOT), OWNER), ...others];
    expect(new Set(all.map(({ fingerprint }) => fingerprint)).size).toBe(4);
  });

  test('refuse an owner without a name, and wipe the root', () => {
    const root = Buffer.alloc(32, 5);
    expect(thrownBy(() => DataKey.derive(root, { application: '', purpose: 'p' })).code).toBe(
      'ERR_CONFIG_FIELD',
    );
    expect(root.equals(Buffer.alloc(32))).toBe(true);
  });

  test('that are closed neither seal nor open, and may be closed again', () => {
    const key = someKey();
    const cell = sealOne('x', { key });
    expect(key.closed).toBe(false);
    key.close();
    key.close();
    expect(key.closed).toBe(true);
    for (const use of [() => sealOne('x', { key }), () => openOne(cell, { key })]) {
      const error = thrownBy(use);
      expect(error).toMatchObject({ code: 'ERR_KEY_CLOSED', retryable: true });
      expect(error.message).toContain(key.fingerprint);
    }
  });

  test('of kind store make HMAC-SHA-256, and none when closed', () => {
    const key = StoreKey.derive(Buffer.from(ROOT), OWNER);
    const expected = createHmac('sha256', derived('store', 'mac', 32))
      .update('message')
      .digest();
    expect(key.mac(Buffer.from('message')).equals(expected)).toBe(true);
    key.close();
    expect(thrownBy(() => key.mac(Buffer.from('message'))).code).toBe('ERR_KEY_CLOSED');
  });

  test('of kind index have a version of 1 to 255, and index nothing when closed', () => {
    for (const version of [0, 256, 1.5]) {
      expect(thrownBy(() => IndexKey.derive(Buffer.from(ROOT), OWNER, version)).code).toBe(
        'ERR_CONFIG_OPTION',
      );
    }
    const key = IndexKey.derive(Buffer.from(ROOT), OWNER, 255);
    key.close();
    expect(thrownBy(() => blindIndexes(key, someColumn(), ['x'])).code).toBe('ERR_KEY_CLOSED');
  });
});
