/** Signed lists of public keys: what a forger, a replayer or a broken clock may put in the place of one. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PublicKey } from '../../src/cell/key-pair.js';
import { isFieldSealError } from '../../src/errors.js';
import type { KeyScope } from '../../src/keys/ports.js';
import { type PublicKeyList, PublicKeyLists, signPublicKeys } from '../../src/keys/public-key-list.js';

const SCOPE: KeyScope = { application: 'shop', environment: 'production', purpose: 'card-number' };
const NOW = Date.parse('2026-06-01T12:00:00Z');
const HOUR = 3_600_000;

const owner = generateKeyPairSync('ed25519');
const forger = generateKeyPairSync('ed25519');

function publicKey(scope = SCOPE): PublicKey {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return PublicKey.parse(publicKey.export({ format: 'der', type: 'spki' }), scope);
}

function listOf(more: Partial<PublicKeyList> = {}): PublicKeyList {
  const keys = [{ key: publicKey(), sealUntil: NOW + HOUR }];
  return { ...SCOPE, serial: 5, notBefore: NOW - HOUR, notAfter: NOW + HOUR, keys, ...more };
}

const signed = (more: Partial<PublicKeyList> = {}, by = owner) => signPublicKeys(listOf(more), by.privateKey);
const lists = () => new PublicKeyLists(SCOPE, owner.publicKey);

async function expectRefused(text: string, message: RegExp, taker = lists(), now = NOW): Promise<void> {
  try {
    await taker.take(text, now);
  } catch (error) {
    expect(isFieldSealError(error) && error.code).toBe('ERR_KEY_LIST_REFUSED');
    expect(String(error)).toMatch(message);
    return;
  }
  expect.unreachable('The list was taken.');
}

/** A signed text over these bytes, as the owner would make it. */
function signedBytes(list: string, prefix = 'fieldseal/v1/public-keys\n'): string {
  const bytes = Buffer.from(list);
  const signature = sign(null, Buffer.concat([Buffer.from(prefix), bytes]), owner.privateKey);
  return JSON.stringify({
    fieldseal: 'public-keys/v1',
    list: bytes.toString('base64url'),
    signature: signature.toString('base64url'),
  });
}

describe('a list of public keys', () => {
  it('is taken as it was signed', async () => {
    const list = listOf();
    const taken = await lists().take(signPublicKeys(list, owner.privateKey), NOW);
    expect(taken).toMatchObject({ ...SCOPE, serial: 5, notBefore: NOW - HOUR, notAfter: NOW + HOUR });
    expect(taken.keys.map(({ key, sealUntil }) => [key.fingerprint, sealUntil])).toEqual([
      [list.keys[0]!.key.fingerprint, NOW + HOUR],
    ]);
  });

  it('is refused under the signature of somebody else', async () => {
    await expectRefused(signed({}, forger), /another signature/u);
  });

  it('is refused with any byte of it changed', async () => {
    const text = signed();
    const { list, signature } = JSON.parse(text) as { list: string; signature: string };
    for (const [name, part] of Object.entries({ list, signature })) {
      const bytes = Buffer.from(part, 'base64url');
      for (let at = 0; at < bytes.length; at += 7) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 1;
        const forged = { ...(JSON.parse(text) as object), [name]: changed.toString('base64url') };
        await expectRefused(JSON.stringify(forged), /another signature/u);
      }
    }
  });

  it('is refused where the owner has signed the same bytes as something else', async () => {
    const { list } = JSON.parse(signed()) as { list: string };
    await expectRefused(signedBytes(Buffer.from(list, 'base64url').toString(), ''), /another signature/u);
  });

  it.each(['application', 'environment', 'purpose'] as const)('is refused for another %s', async (member) => {
    await expectRefused(signed({ [member]: 'other' }), new RegExp(`list of this ${member}`, 'u'));
  });

  it('is valid from notBefore on, and not at notAfter any more', async () => {
    const times = { notBefore: NOW, notAfter: NOW + HOUR };
    expect((await lists().take(signed(times), NOW)).serial).toBe(5);
    expect((await lists().take(signed(times), NOW + HOUR - 1)).serial).toBe(5);
    await expectRefused(signed(times), /valid now, got one that is valid from 2026/u, lists(), NOW - 1);
    await expectRefused(signed(times), /to 2026-06-01T13:00:00/u, lists(), NOW + HOUR);
    await expectRefused(signed({ notBefore: NOW + HOUR, notAfter: Number.MAX_SAFE_INTEGER }), /ms/u);
  });

  it('is refused when a newer one was taken before, and the newer one stays', async () => {
    const taker = lists();
    const newest = signed({ serial: 7 });
    await taker.take(newest, NOW);
    await expectRefused(signed({ serial: 6 }), /serial above 7.*got serial 6/u, taker);
    await expectRefused(signed({ serial: 7 }), /another list with that serial/u, taker);
    expect((await taker.take(newest, NOW)).serial).toBe(7);
    expect((await taker.take(signed({ serial: 8 }), NOW)).serial).toBe(8);
  });

  it('is refused when a newer one overtakes it, and the newer one stays', async () => {
    const key = publicKey();
    const many = Array.from({ length: 500 }, () => ({ key, sealUntil: NOW + HOUR }));
    const taker = lists();
    const older = expectRefused(signed({ serial: 6, keys: many }), /serial above 7.*got serial 6/u, taker);
    const newest = signed({ serial: 7 });
    expect((await taker.take(newest, NOW)).serial).toBe(7);
    await older;
    expect((await taker.take(newest, NOW)).serial).toBe(7);
  });

  it('of two at once is the newest in the end, whichever came first', async () => {
    const newest = signed({ serial: 7 });
    for (const texts of [
      [signed({ serial: 6 }), newest],
      [newest, signed({ serial: 6 })],
    ]) {
      const taker = lists();
      await Promise.allSettled(texts.map((text) => taker.take(text, NOW)));
      await expectRefused(signed({ serial: 6 }), /serial above 7/u, taker);
      expect((await taker.take(newest, NOW)).serial).toBe(7);
    }
  });

  it('leaves no trace when it was refused, whatever its serial', async () => {
    const taker = lists();
    await expectRefused(signed({ serial: 99 }, forger), /signature/u, taker);
    await expectRefused(signed({ serial: 99, notAfter: NOW }), /valid now/u, taker);
    expect((await taker.take(signed({ serial: 1 }), NOW)).serial).toBe(1);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['JSON of another form', '{"keys":[]}'],
    ['a list', '[]'],
    ['a member more', signed().replace('{', '{"more":1,')],
    ['a signature that is no text of bytes', signed().replace(/"signature":"[^"]+"/u, '"signature":"%%"')],
  ])('is refused when it is %s', async (_name, text) => {
    await expectRefused(text, /form public-keys\/v1/u);
  });

  it('is refused beyond a length that no list has', async () => {
    await expectRefused(`${signed()}${' '.repeat(1024 * 1024)}`, /at most 1048576 characters/u);
  });

  it.each<[string, object | string, RegExp]>([
    ['no JSON', '{', /1 characters of another/u],
    ['a member less', { serial: undefined }, /list\.serial: expected/u],
    ['a member more', { more: 1 }, /list\.more: there is no such/u],
    ['no keys', { keys: [] }, /list\.keys: expected/u],
    ['serial 0', { serial: 0 }, /list\.serial: expected/u],
    ['a broken time', { notAfter: '2026' }, /list\.notAfter: expected/u],
    ['a key that is none', { keys: [{ spki: 'AAAA', sealUntil: NOW }] }, /P-256 keys only/u],
  ])('is refused although it is signed when it has %s', async (_name, more, message) => {
    const { list } = JSON.parse(signed()) as { list: string };
    const good = JSON.parse(Buffer.from(list, 'base64url').toString()) as object;
    const text = typeof more === 'string' ? more : JSON.stringify({ ...good, ...more });
    await expectRefused(signedBytes(text), message);
  });

  it('takes a public Ed25519 key to verify with, and no other', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    for (const key of [owner.privateKey, rsa.publicKey])
      expect(() => new PublicKeyLists(SCOPE, key)).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_OPTION' }),
      );
  });
});
