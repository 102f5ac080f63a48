/** Session keys: on both sides the same key, and no key for whoever they are not for. */
import { createHash, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { aessiv } from '@noble/ciphers/aes.js';
import { describe, expect, test } from 'vitest';
import { contextOf } from '../../src/cell/column.js';
import { type DeliveryHeader, kekRefOf } from '../../src/cell/delivery-header.js';
import { parseCell } from '../../src/cell/format.js';
import { PrivateKey, PublicKey } from '../../src/cell/key-pair.js';
import { openSession, sealSession } from '../../src/cell/session-key.js';
import { openOne, OWNER, sealOne, someColumn, somePair, SUITE_NAMES, thrownBy } from './fixtures.js';

type Sealed = Extract<DeliveryHeader, { delivery: 'sealed' }>;
const PAIR_OWNER = { ...OWNER, environment: 'test' };

function headerOf(cell: Buffer): Sealed {
  const { header } = parseCell(cell);
  if (header.delivery !== 'sealed') throw new Error('expected a sealed cell');
  return header;
}

describe.each(SUITE_NAMES)('a session key of %s', (suite) => {
  test('opens on the other side what it sealed on this one', () => {
    const { privateKey, publicKey } = somePair();
    const key = sealSession(publicKey, OWNER);
    const cell = sealOne('4111111111111111', { key, suite });
    key.close();
    const opened = openSession(privateKey, OWNER, headerOf(cell))!;
    expect(opened).toMatchObject({ delivery: 'sealed', fingerprint: publicKey.fingerprint });
    expect(opened.header).toEqual(key.header);
    expect(openOne(cell, { key: opened, suite })).toBe('4111111111111111');
  });

  test('is not to be had by another pair, nor under another owner', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const of = (owner: Partial<typeof PAIR_OWNER>): PrivateKey =>
      PrivateKey.parse(privateKey.export({ format: 'der', type: 'pkcs8' }), { ...PAIR_OWNER, ...owner });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const cell = sealOne('x', { key: sealSession(PublicKey.parse(spki, PAIR_OWNER), OWNER), suite });
    expect(openSession(somePair().privateKey, OWNER, headerOf(cell))).toBeUndefined();
    for (const member of ['application', 'environment', 'purpose'] as const)
      expect(openSession(of({ [member]: 'other' }), OWNER, headerOf(cell))).toBeUndefined();
    for (const member of ['application', 'purpose'] as const) {
      const other = openSession(of({}), { ...OWNER, [member]: 'other' }, headerOf(cell))!;
      expect(openOne(cell, { key: other, suite })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
    }
  });
});

describe('session keys', () => {
  test('are others each time, under one fingerprint', () => {
    const { publicKey } = somePair();
    const [one, other] = [sealSession(publicKey, OWNER), sealSession(publicKey, OWNER)];
    expect(one.fingerprint).toBe(other.fingerprint);
    expect(one.header.equals(other.header)).toBe(false);
    expect(openOne(sealOne('x', { key: one }), { key: other })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  test('are derived as the design writes it: to @noble/ciphers their cells are AES-SIV', () => {
    const { privateKey, publicKey } = somePair();
    const cell = sealOne('4111111111111111', { key: sealSession(publicKey, OWNER) });
    const { byteOne, nonce, body, header } = parseCell(cell);
    if (header.delivery !== 'sealed') throw new Error('expected a sealed cell');
    const root = privateKey.open({ encapsulated: header.encapsulated, ciphertext: header.sessionKey })!;
    const lp = (text: string): string => `\0\0\0${String.fromCharCode(text.length)}${text}`;
    const info = `fieldseal/v1/${lp('session')}${lp('siv')}${lp(OWNER.application)}${lp(OWNER.purpose)}`;
    const sivKey = new Uint8Array(hkdfSync('sha256', root, '', info, 64));
    const context = contextOf(someColumn(), byteOne, publicKey.fingerprint);
    expect(Buffer.from(aessiv(sivKey, context, nonce).decrypt(body)).toString()).toBe('4111111111111111');
  });

  test('are none without a private key that is still held, or of another size', () => {
    const { privateKey, publicKey } = somePair();
    const short = publicKey.seal(randomBytes(31));
    const header = { encapsulated: short.encapsulated, sessionKey: short.ciphertext };
    expect(thrownBy(() => openSession(privateKey, OWNER, header)).code).toBe('ERR_KEY_COMMITMENT');
    const good = headerOf(sealOne('x', { key: sealSession(publicKey, OWNER) }));
    privateKey.close();
    expect(thrownBy(() => openSession(privateKey, OWNER, good)).code).toBe('ERR_KEY_CLOSED');
  });
});

test('a KEK reference is the beginning of the SHA-256 of its name', () => {
  const arn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  expect(kekRefOf(arn)).toEqual(createHash('sha256').update(arn).digest().subarray(0, 8));
});
