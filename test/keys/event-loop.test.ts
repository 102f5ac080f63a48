/** Work that takes long lets the event loop turn. The turns are counted: how long each takes is the machine's as well. */
import crypto, { generateKeyPairSync } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { describe, expect, it, vi } from 'vitest';
import { turnsDuring } from '../../bench/longest-block.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { createFieldSeal, publicKeySource } from '../../src/index.js';
import type { OpenedColumn } from '../../src/keys/field-seal.js';
import { signPublicKeys } from '../../src/keys/public-key-list.js';
import { atOneInstant, HOUR, openBench, openPans, PURPOSE, sealPans } from './seal-fixture.js';
import { openSealed, OWNER, PAN, sealAll, SESSION_AT } from './sealed-fixture.js';

const pans = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => String(i).padStart(16, PAN));
const DELIVERY = { sealed: { sessionsPerPage: 5_000 } };

describe('the event loop turns', () => {
  it('while session keys are made for 2,000 rows', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    const rows = [{ column: pan, values: pans(2_000) }];
    const { turns } = await turnsDuring(async () => {
      (await seal.prepare(rows)).close();
    });
    // 0.15 ms a key, 8 ms a turn.
    expect(turns).toBeGreaterThan(25);
  });

  it('while they are made for many statements at once', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    const statement = async (): Promise<void> => {
      (await seal.prepare([{ column: pan, values: pans(20) }])).close();
    };
    const { turns } = await turnsDuring(() => Promise.all(Array.from({ length: 100 }, statement)));
    expect(turns).toBeGreaterThan(25);
  });

  it('while all is made that sealing needs, so that sealing sets no cipher up', async () => {
    const { seal, pan } = await openSealed(DELIVERY);
    for (const values of [pans(50), pans(50).map((value) => value.repeat(5))]) {
      const rows = [{ column: pan, values }];
      const prepared = await seal.prepare(rows);
      const made = callsDuring('createCipheriv', () => seal.sealRows(rows, prepared));
      prepared.close();
      expect(made).toBe(0);
    }
  });

  it('while a page of 1,000 session keys is opened', async () => {
    const sealed = await openSealed(DELIVERY);
    const { cells } = await sealAll(sealed, pans(1_000));
    let opened: unknown;
    const { turns } = await turnsDuring(async () => {
      opened = (await openPans(sealed, cells)).values;
    });
    expect(opened).toEqual(pans(1_000));
    expect(turns).toBeGreaterThan(15);
  });

  it('while a signed list of 1,000 public keys is taken, each of which is parsed once', async () => {
    const signer = generateKeyPairSync('ed25519');
    const list = signedList(1_000, signer.privateKey);
    const parsed = vi.spyOn(crypto, 'createPublicKey');
    syncBuiltinESMExports();
    try {
      const { turns } = await turnsDuring(async () => {
        const keys = publicKeySource({
          read: () => Promise.resolve(list),
          verificationKey: signer.publicKey,
        });
        const purposes = { [PURPOSE]: { delivery: 'sealed' } } as const;
        const { application, environment } = OWNER;
        const seal = await createFieldSeal({
          application,
          environment,
          access: 'write-only',
          purposes,
          keys,
        });
        expect(seal.stats().pools[PURPOSE]!.keys).toBe(1_000);
        await seal.close();
      });
      expect(parsed).toHaveBeenCalledTimes(1_000);
      expect(turns).toBeGreaterThan(5);
    } finally {
      parsed.mockRestore();
      syncBuiltinESMExports();
    }
  });

  it('while the keys of a page are looked for, of which there may be more than it may open', async () => {
    const sealed = await openSealed({ sealed: { sessionsPerPage: 1 } });
    const { seal, pan } = sealed;
    const { cells } = await sealAll(sealed, [PAN]);
    const many = Array.from({ length: 20_000 }, (_, i) => otherSession(cells[0]!, i));
    let page: unknown;
    // A session key is looked for by a hash.
    const looked = callsDuring('createHash', () => (page = seal.openPage([{ column: pan, cells: many }])));
    const [opened] = (await page) as readonly OpenedColumn[];
    expect(opened!.failures?.size).toBe(20_000);
    expect(looked).toBeLessThan(20_000);
  });

  it('while a large page of pool cells is opened', async () => {
    const pool = await openBench();
    const { cells } = sealPans(pool, pans(200_000));
    let opened: unknown;
    const { turns } = await turnsDuring(async () => {
      opened = (await openPans(pool, cells)).values;
    });
    expect(opened).toEqual(pans(200_000));
    expect(turns).toBeGreaterThan(3);
    expect(pool.seal.stats()).toMatchObject({ cellsOpened: 200_000, openFailures: 0 });
  });

  it('never for a small page, which is opened at once', async () => {
    const pool = await openBench();
    const { cells } = sealPans(pool, pans(20));
    await openPans(pool, cells);
    const page = atOneInstant(() => pool.seal.openPage([{ column: pool.pan, cells }]));
    expect(page).not.toBeInstanceOf(Promise);
  });
});

function signedList(count: number, signingKey: crypto.KeyObject): string {
  const now = Date.now();
  const keys = Array.from({ length: count }, () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    return { key: PublicKey.parse(spki, OWNER), sealUntil: now + HOUR };
  });
  return signPublicKeys({ ...OWNER, serial: now, notBefore: now, notAfter: now + HOUR, keys }, signingKey);
}

/** The cell with the number in the session key of its header. */
function otherSession(cell: Buffer, i: number): Buffer {
  const copy = Buffer.from(cell);
  copy.writeUInt32BE(i, SESSION_AT);
  return copy;
}

/** How often Node makes such objects while `work` runs. */
function callsDuring(name: 'createCipheriv' | 'createHash', work: () => unknown): number {
  const made = vi.spyOn(crypto, name);
  syncBuiltinESMExports();
  try {
    work();
    return made.mock.calls.length;
  } finally {
    made.mockRestore();
    syncBuiltinESMExports();
  }
}
