/** Opening of sealed cells: private keys from the source, session keys from the cells, and what was tampered with. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseCell } from '../../src/cell/format.js';
import { PrivateKey, PublicKey } from '../../src/cell/key-pair.js';
import { KmsError } from '../../src/errors.js';
import { later, now } from '../../src/keys/deadline.js';
import { HeldKey } from '../../src/keys/held-key.js';
import { HeldKeys } from '../../src/keys/held-keys.js';
import { parsePolicies } from '../../src/keys/policy.js';
import { SessionKeys } from '../../src/keys/session-keys.js';
import { FakeClock, settle } from './fake-clock.js';
import { fail, gate } from './memory-source.js';
import { atOneInstant, cellUnder, HOUR, MINUTE, openBench, openPans, PURPOSE } from './seal-fixture.js';
import {
  FINGERPRINT_AT,
  flipped,
  forgedCell,
  NONCE_AT,
  openSealed,
  OWNER,
  PAN,
  POINT_AT,
  sealAll,
  SESSION_AT,
} from './sealed-fixture.js';

describe('opening sealed cells', () => {
  it('loads each private key once, and opens each session key once', async () => {
    const sealed = await openSealed('sealed', { pool: { validKeys: 1 } });
    const { cells } = await sealAll(sealed, Array<string>(10).fill(PAN));
    const pages = await Promise.all(Array.from({ length: 5 }, () => openPans(sealed, cells)));
    for (const { values } of pages) expect(values).toEqual(Array<string>(10).fill(PAN));
    expect(sealed.source.count('load')).toBe(1);
    expect(sealed.seal.stats()).toMatchObject({ unwraps: 1, keyringSize: 11 });
    // Nothing has to be waited for any more.
    const again = atOneInstant(() => sealed.seal.openPage([{ column: sealed.pan, cells }]));
    expect(again).not.toBeInstanceOf(Promise);
  });

  it('wipes the private key that it was given', async () => {
    const sealed = await openSealed();
    await openPans(sealed, (await sealAll(sealed, [PAN])).cells);
    expect(sealed.source.lent.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    expect(sealed.source.lent.some((bytes) => bytes.length > 100)).toBe(true);
  });

  it('asks again when the time in the cache is over, and drops session keys with it', async () => {
    const sealed = await openSealed('sealed', { key: { openCache: '1h' } });
    const { cells } = await sealAll(sealed, [PAN]);
    await openPans(sealed, cells);
    await sealed.clock.advance(30 * MINUTE);
    await openPans(sealed, (await sealAll(sealed, [PAN])).cells);
    await sealed.clock.advance(30 * MINUTE);
    expect(sealed.seal.stats().keyringSize).toBeLessThanOrEqual(2); // what another pair opened later
    expect((await openPans(sealed, cells)).values).toEqual([PAN]);
    expect(sealed.source.count('load')).toBeGreaterThan(1);
  });

  it('refuses a revoked pair, and drops the session keys that it opened', async () => {
    const sealed = await openSealed();
    const { cells, fingerprints } = await sealAll(sealed, [PAN]);
    await openPans(sealed, cells);
    sealed.source.revoke([fingerprints[0]!]);
    expect(sealed.seal.stats().keyringSize).toBe(0);
    expect((await openPans(sealed, cells)).failures!.get(0)!.code).toBe('ERR_KEY_STATE');
    expect(sealed.events).toContainEqual(
      expect.objectContaining({ type: 'key-revoked', fingerprint: fingerprints[0] }),
    );
  });

  it('leaves no session key of a pair that is revoked while it is loaded', async () => {
    const sealed = await openSealed();
    const { cells, fingerprints } = await sealAll(sealed, [PAN]);
    const slow = gate();
    sealed.source.fault('load', slow.fault);
    const opening = openPans(sealed, cells);
    await settle();
    sealed.source.context.revoke([fingerprints[0]!]);
    slow.open();
    expect((await opening).failures!.get(0)!.code).toBe('ERR_KEY_STATE');
    expect(sealed.seal.stats().keyringSize).toBe(0);
  });

  it('fails for a source that is down, and remembers no such trouble', async () => {
    const sealed = await openSealed();
    const { cells } = await sealAll(sealed, [PAN]);
    sealed.source.fault('load', fail(new KmsError('ERR_KMS_UNAVAILABLE', 'down')));
    const { failures } = await openPans(sealed, cells);
    expect(failures!.get(0)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true });
    sealed.source.fault('load', undefined);
    expect((await openPans(sealed, cells)).values).toEqual([PAN]);
  });

  it('refuses the private half of another pair', async () => {
    const sealed = await openSealed('sealed', { pool: { validKeys: 2 } });
    const { cells } = await sealAll(sealed, Array<string>(20).fill(PAN));
    let roots: Buffer[] = [];
    sealed.source.garble = (key) => {
      roots = [...roots, Buffer.from(key.root)];
      return roots.length === 2 ? { ...key, root: Buffer.from(roots[0]!) } : key;
    };
    const { failures } = await openPans(sealed, cells);
    expect(new Set([...failures!.values()].map(({ code }) => code))).toEqual(new Set(['ERR_KEY_COMMITMENT']));
    expect(failures!.size).toBeLessThan(20);
  });

  it.each([
    ['the fingerprint', FINGERPRINT_AT + 3, 'ERR_KEY_NOT_FOUND'],
    ['the kind of point', POINT_AT, 'ERR_FORMAT_CELL'],
    ['the encapsulated key', POINT_AT + 40, 'ERR_OPEN_FAILED'],
    ['the session key', SESSION_AT + 5, 'ERR_OPEN_FAILED'],
    ['its tag', NONCE_AT - 1, 'ERR_OPEN_FAILED'],
    ['the text', NONCE_AT + 20, 'ERR_OPEN_FAILED'],
  ])('refuses a cell with a bit of %s flipped, and opens its neighbours', async (_, at, code) => {
    const sealed = await openSealed();
    const { cells } = await sealAll(sealed, [PAN, PAN, PAN]);
    const page = [cells[0]!, flipped(cells[1]!, at), cells[2]!];
    for (let i = 0; i < 2; i++) {
      const { values, failures } = await openPans(sealed, page);
      expect(values).toEqual([PAN, undefined, PAN]);
      expect(failures!.get(1)!.code).toBe(code);
    }
  });

  it('refuses a genuine header of another pair under the fingerprint of this one', async () => {
    const sealed = await openSealed('sealed', { pool: { validKeys: 2 } });
    const [one, other] = sealed.source.pairs(PURPOSE);
    const cell = forgedCell(one!, PAN);
    Buffer.from(other!.fingerprint.replaceAll('-', ''), 'hex').copy(cell, FINGERPRINT_AT);
    expect((await openPans(sealed, [cell])).failures!.get(0)!.code).toBe('ERR_OPEN_FAILED');
  });

  it.each(['application', 'environment', 'purpose'] as const)(
    'refuses a session key that was sealed for another %s',
    async (member) => {
      const sealed = await openSealed('sealed', { pool: { validKeys: 1 } });
      const [pair] = sealed.source.pairs(PURPOSE);
      const cell = forgedCell(pair!, PAN, { ...OWNER, [member]: 'other' });
      Buffer.from(pair!.fingerprint.replaceAll('-', ''), 'hex').copy(cell, FINGERPRINT_AT);
      expect((await openPans(sealed, [cell])).failures!.get(0)!.code).toBe('ERR_OPEN_FAILED');
    },
  );

  it('opens what anybody forged who has the public key: public keys authenticate nobody', async () => {
    const sealed = await openSealed();
    const forged = forgedCell(sealed.source.pairs(PURPOSE)[0]!, 'a value of the forger');
    expect((await openPans(sealed, [forged])).values).toEqual(['a value of the forger']);
  });

  it('opens so many session keys for one page and no more, and says how to read the rest', async () => {
    const sealed = await openSealed({ sealed: { sessionsPerPage: 3 } });
    const { cells } = await sealAll(sealed, Array<string>(5).fill(PAN));
    const { values, failures } = await openPans(sealed, cells);
    expect(values).toEqual([PAN, PAN, PAN, undefined, undefined]);
    expect(failures!.get(4)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true });
    expect(failures!.get(4)!.message).toContain('sessionsPerPage');
    expect((await openPans(sealed, cells)).values).toEqual(Array<string>(5).fill(PAN));
  });

  it('spends nothing on a forged header that it has seen', async () => {
    const sealed = await openSealed({ sealed: { sessionsPerPage: 2 } });
    const { cells } = await sealAll(sealed, [PAN, PAN, PAN, PAN]);
    const forged = cells.slice(0, 2).map((cell) => flipped(cell!, SESSION_AT));
    await openPans(sealed, forged);
    // Counted anew, these two would leave nothing for the others.
    const { values } = await openPans(sealed, [...forged, ...cells.slice(2)]);
    expect(values).toEqual([undefined, undefined, PAN, PAN]);
  });

  it('keeps keys in use of a page that has more of them than the keyring holds', async () => {
    const sealed = await openSealed('sealed', {}, { keyring: { max: 1 } });
    const { cells } = await sealAll(sealed, Array<string>(20).fill(PAN));
    expect((await openPans(sealed, cells)).values).toEqual(Array<string>(20).fill(PAN));
    expect(sealed.seal.stats().keyringSize).toBeLessThanOrEqual(2);
  });

  it('refuses what the purpose does not accept, and fetches no key for it', async () => {
    const [sealed, pool] = [await openSealed(), await openBench()];
    const { cells } = await sealAll(sealed, [PAN]);
    expect((await openPans(pool, cells)).failures!.get(0)!.code).toBe('ERR_FORMAT_NOT_ACCEPTED');
    const cell = pool.seal.seal(PURPOSE, 'cards.pan', PAN);
    expect((await openPans(sealed, [cell])).failures!.get(0)!.code).toBe('ERR_FORMAT_NOT_ACCEPTED');
    expect([pool.source.count('load'), sealed.source.count('load')]).toEqual([0, 0]);
  });
});

describe('a purpose that accepts pool and sealed cells', () => {
  const both = { accept: { deliveries: ['pool', 'sealed'] } } as const;

  it('reads both, in one page', async () => {
    const sealed = await openSealed('sealed', both);
    const [fingerprint] = sealed.source.addKeys(PURPOSE, 1);
    const { cells } = await sealAll(sealed, [PAN]);
    const page = [cells[0]!, cellUnder(sealed.source, fingerprint!)];
    expect((await openPans(sealed, page)).values).toEqual([PAN, PAN]);
  });

  it('finds no key of the one kind by the fingerprint of the other', async () => {
    const sealed = await openSealed('sealed', both);
    const [fingerprint] = sealed.source.addKeys(PURPOSE, 1);
    const { cells, fingerprints } = await sealAll(sealed, [PAN]);
    const pooled = cellUnder(sealed.source, fingerprint!);
    Buffer.from(fingerprints[0]!.replaceAll('-', ''), 'hex').copy(pooled, FINGERPRINT_AT);
    const named = Buffer.from(cells[0]!);
    Buffer.from(fingerprint!.replaceAll('-', ''), 'hex').copy(named, FINGERPRINT_AT);
    const { failures } = await openPans(sealed, [pooled, named]);
    expect([...failures!.values()].map(({ code }) => code)).toEqual([
      'ERR_KEY_NOT_FOUND',
      'ERR_KEY_NOT_FOUND',
    ]);
  });
});

describe('session keys', () => {
  it('of a pair that was dropped since its private key was leased serve this page and are not kept', async () => {
    const clock = new FakeClock();
    const pair = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    const privateKey = PrivateKey.parse(pair.privateKey, OWNER);
    const leased = new HeldKey(PURPOSE, privateKey, later(now(clock), HOUR));
    leased.lease();
    leased.drop();
    const { application, environment } = OWNER;
    const held = new HeldKeys({ application, environment, kind: 'session', max: 10, clock });
    const policies = parsePolicies({ [PURPOSE]: { delivery: 'sealed' } });
    const privateKeys = { lease: () => leased };
    const sessions = new SessionKeys({ application, environment, policies, clock, held, privateKeys });
    const cell = forgedCell(PublicKey.parse(pair.publicKey, OWNER), PAN);
    const { header } = parseCell(cell);
    if (header.delivery !== 'sealed') throw new Error(`Expected a sealed cell, got ${header.delivery}.`);
    const session = await sessions.beginPage()({
      ...{ ...header, purpose: PURPOSE, fingerprint: privateKey.fingerprint },
      header: cell.subarray(POINT_AT, NONCE_AT),
    });
    if (!(session instanceof HeldKey)) throw session;
    expect(held.size).toBe(0);
    expect(session.key.closed).toBe(false);
    session.release();
    expect(session.key.closed).toBe(true);
    expect(() =>
      privateKey.open({ encapsulated: header.encapsulated, ciphertext: header.sessionKey }),
    ).toThrow(expect.objectContaining({ code: 'ERR_KEY_CLOSED' }));
  });
});
