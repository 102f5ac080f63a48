/** Sealed delivery: each record, or each window, under a session key that its cells carry, sealed to a key pair. */
import { describe, expect, it } from 'vitest';
import { cellColumn } from '../../src/cell/column.js';
import { parseCell } from '../../src/cell/format.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { sealCells } from '../../src/cell/seal.js';
import { sealSession } from '../../src/cell/session-key.js';
import { KmsError } from '../../src/errors.js';
import type { SealedColumn } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { settle } from './fake-clock.js';
import { fail, gate, MemorySource } from './memory-source.js';
import {
  cellUnder,
  HOUR,
  MINUTE,
  openBench,
  openPans,
  PURPOSE,
  rejection,
  thrown,
  type Bench,
  type BenchOptions,
} from './seal-fixture.js';

const PAN = '4111111111111111';
const OWNER = { application: 'shop', environment: 'test', purpose: PURPOSE };
const COLUMN = cellColumn({ ...OWNER, entity: 'cards', field: 'pan', codec: 'string', pad: 0, bound: false });
/** Offsets in a sealed cell: fingerprint, encapsulated key, session key, nonce and text. */
const [FINGERPRINT_AT, POINT_AT, SESSION_AT, NONCE_AT] = [2, 18, 83, 131];

const bench = (
  delivery: PurposeOptions['delivery'] = 'sealed',
  purpose: PurposeOptions = {},
  options: BenchOptions = {},
): Promise<Bench> =>
  openBench({ purposes: { [PURPOSE]: { pool: { validKeys: 3 }, ...purpose, delivery } }, ...options });

/** The rows of one statement, sealed as an ORM does it. */
async function sealAll({ seal, pan }: Bench, values: readonly unknown[]): Promise<SealedColumn> {
  const rows = [{ column: pan, values }];
  const prepared = await seal.prepare(rows);
  try {
    return seal.sealRows(rows, prepared)[0]!;
  } finally {
    prepared.close();
  }
}

const headersOf = ({ cells }: SealedColumn) =>
  new Set(cells.map((cell) => cell!.subarray(POINT_AT, NONCE_AT).toString('hex')));

function flipped(cell: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(cell);
  copy[at]! ^= 1;
  return copy;
}

/** A cell that anybody with the public key can make. */
function forgedCell(publicKey: PublicKey, value: string, owner = OWNER): Buffer {
  const key = sealSession(PublicKey.parse(publicKey.spki, owner), owner);
  return sealCells('aes-256-siv', COLUMN, [value], [key]).cells[0]!;
}

describe('sealed delivery', () => {
  it('gives each record a session key of its own, under one of the key pairs at random', async () => {
    const sealed = await bench();
    const pans = await sealAll(sealed, Array<string>(60).fill(PAN));
    expect(headersOf(pans)).toHaveLength(60);
    expect(new Set(pans.fingerprints)).toEqual(
      new Set(sealed.source.pairs(PURPOSE).map(({ fingerprint }) => fingerprint)),
    );
    expect(parseCell(pans.cells[0]!).header.delivery).toBe('sealed');
    expect((await openPans(sealed, pans.cells)).values).toEqual(Array<string>(60).fill(PAN));
  });

  it('asks nobody for anything while it seals, and loads no private key for it', async () => {
    const sealed = await bench();
    const before = sealed.source.calls.length;
    await sealAll(sealed, [PAN, null, PAN]);
    expect(sealed.source.calls.slice(before)).toEqual([]);
    expect([sealed.source.count('handOut'), sealed.source.count('load')]).toEqual([0, 0]);
    expect(sealed.seal.stats().pools).toMatchObject({ [PURPOSE]: { keys: 3, outageMinutes: 120 } });
  });

  it('seals nothing that was not prepared', async () => {
    const { seal, pan } = await bench();
    thrown(() => seal.sealRows([{ column: pan, values: [PAN] }]), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN), 'ERR_SEAL_NOT_PREPARED');
    const cell = await seal.sealAsync(PURPOSE, 'cards.pan', PAN);
    expect(await seal.open(PURPOSE, 'cards.pan', cell)).toBe(PAN);
  });

  it('is refused after close', async () => {
    const sealed = await bench();
    await sealed.seal.close();
    await rejection(sealAll(sealed, [PAN]), 'ERR_CLOSED');
    expect(sealed.clock.armed).toBe(0);
  });

  it('works with xaes-256-gcm', async () => {
    const sealed = await bench('sealed', { suite: 'xaes-256-gcm' });
    const { cells } = await sealAll(sealed, [PAN, PAN]);
    expect((await openPans(sealed, cells)).values).toEqual([PAN, PAN]);
  });
});

describe('a reuse window of session keys', () => {
  const reuse = { sealed: { reuse: { cells: 10, for: '5m' } } } as const;

  it('seals so many cells under one session key, then makes another', async () => {
    const sealed = await bench(reuse);
    expect(headersOf(await sealAll(sealed, Array<string>(25).fill(PAN)))).toHaveLength(3);
  });

  it.each(['wall', 'monotonic'] as const)('ends with its time by the %s clock', async (which) => {
    const sealed = await bench(reuse);
    const before = await sealAll(sealed, [PAN]);
    if (which === 'wall') sealed.clock.setWallBy(5 * MINUTE);
    else await sealed.clock.advance(5 * MINUTE);
    expect(headersOf(await sealAll(sealed, [PAN]))).not.toEqual(headersOf(before));
  });

  it('ends when its pair is revoked', async () => {
    const sealed = await bench(reuse);
    const { fingerprints } = await sealAll(sealed, [PAN]);
    sealed.source.revoke([fingerprints[0]!]);
    expect((await sealAll(sealed, Array<string>(5).fill(PAN))).fingerprints).not.toContain(fingerprints[0]);
  });

  it('ends when its pair may not seal any more', async () => {
    const sealed = await bench(
      { sealed: { reuse: { cells: 10, for: '1h' } } },
      { pool: { validKeys: 1, lifetime: '10m' }, outage: { seal: 0 } },
    );
    const rows = [{ column: sealed.pan, values: [PAN] }];
    sealed.source.fault('publicKeys', fail(new KmsError('ERR_KMS_UNAVAILABLE', 'down')));
    (await sealed.seal.prepare(rows)).close();
    await sealed.clock.advance(10 * MINUTE);
    await rejection(sealed.seal.prepare(rows), 'ERR_POOL_STALE');
  });
});

describe('public keys in a running process', () => {
  it.each(['wall', 'monotonic'] as const)(
    'outlive a source that is down until their end by the %s clock, then nothing is sealed',
    async (which) => {
      const sealed = await bench();
      const down = new KmsError('ERR_KMS_UNAVAILABLE', 'down');
      sealed.source.fault('publicKeys', fail(down));
      await sealed.clock.advance(HOUR + 59 * MINUTE);
      expect(sealed.events).toContainEqual(
        expect.objectContaining({ type: 'refresh-failed', purpose: PURPOSE, error: down }),
      );
      await sealAll(sealed, [PAN]);
      if (which === 'wall') sealed.clock.setWallBy(MINUTE);
      else await sealed.clock.advance(MINUTE);
      await rejection(sealAll(sealed, [PAN]), 'ERR_POOL_STALE');
      expect(sealed.seal.stats().pools[PURPOSE]!.outageMinutes).toBe(0);
      sealed.source.fault('publicKeys', undefined);
      await sealed.clock.advance(2 * MINUTE);
      await sealAll(sealed, [PAN]);
    },
  );

  it('are replaced when their lifetime is over', async () => {
    const sealed = await bench();
    const added = sealed.source.addPair(PURPOSE);
    await sealed.clock.advance(HOUR);
    expect(sealed.seal.stats().pools[PURPOSE]!.keys).toBe(4);
    const { fingerprints } = await sealAll(sealed, Array<string>(100).fill(PAN));
    expect(fingerprints).toContain(added.fingerprint);
  });

  it('that are not P-256 keys cost an alarm, not the others', async () => {
    const source = new MemorySource();
    const publicKeys = source.publicKeys.bind(source);
    source.publicKeys = async (purpose) => [
      { spki: Buffer.alloc(91), sealUntil: Infinity },
      ...(await publicKeys(purpose)),
    ];
    const sealed = await bench('sealed', {}, { source });
    await sealAll(sealed, [PAN]);
    expect(sealed.events).toContainEqual(
      expect.objectContaining({ type: 'alarm', code: 'ERR_KEY_COMMITMENT' }),
    );
  });

  it('are asked for again when the last one is revoked', async () => {
    const sealed = await bench('sealed', { pool: { validKeys: 1 } });
    const [pair] = sealed.source.pairs(PURPOSE);
    sealed.source.fault('publicKeys', gate().fault);
    sealed.source.revoke([pair!.fingerprint]);
    await rejection(sealAll(sealed, [PAN]), 'ERR_POOL_EMPTY');
    expect(sealed.source.count('publicKeys')).toBe(2);
  });

  it('that are revoked while they are fetched are not sealed under', async () => {
    const sealed = await bench('sealed', { pool: { validKeys: 2 } });
    const [pair, other] = sealed.source.pairs(PURPOSE);
    const slow = gate();
    sealed.source.fault('publicKeys', slow.fault);
    await sealed.clock.advance(HOUR);
    sealed.source.revoke([pair!.fingerprint]);
    slow.open();
    await settle();
    const { fingerprints } = await sealAll(sealed, Array<string>(30).fill(PAN));
    expect(new Set(fingerprints)).toEqual(new Set([other!.fingerprint]));
  });

  it('are needed to start', async () => {
    const source = new MemorySource();
    source.fault('publicKeys', fail(new KmsError('ERR_KMS_UNAVAILABLE', 'down')));
    await rejection(bench('sealed', {}, { source }), 'ERR_KMS_UNAVAILABLE');
    expect(source.count('close')).toBe(1);
  });
});

describe('opening sealed cells', () => {
  it('loads each private key once, and opens each session key once', async () => {
    const sealed = await bench('sealed', { pool: { validKeys: 1 } });
    const { cells } = await sealAll(sealed, Array<string>(10).fill(PAN));
    const pages = await Promise.all(Array.from({ length: 5 }, () => openPans(sealed, cells)));
    for (const { values } of pages) expect(values).toEqual(Array<string>(10).fill(PAN));
    expect(sealed.source.count('load')).toBe(1);
    expect(sealed.seal.stats()).toMatchObject({ unwraps: 1, keyringSize: 11 });
    // Nothing has to be waited for any more.
    expect(sealed.seal.openPage([{ column: sealed.pan, cells }])).not.toBeInstanceOf(Promise);
  });

  it('wipes the private key that it was given', async () => {
    const sealed = await bench();
    await openPans(sealed, (await sealAll(sealed, [PAN])).cells);
    expect(sealed.source.lent.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    expect(sealed.source.lent.some((bytes) => bytes.length > 100)).toBe(true);
  });

  it('asks again when the time in the cache is over, and drops session keys with it', async () => {
    const sealed = await bench('sealed', { key: { openCache: '1h' } });
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
    const sealed = await bench();
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
    const sealed = await bench();
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
    const sealed = await bench();
    const { cells } = await sealAll(sealed, [PAN]);
    sealed.source.fault('load', fail(new KmsError('ERR_KMS_UNAVAILABLE', 'down')));
    const { failures } = await openPans(sealed, cells);
    expect(failures!.get(0)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true });
    sealed.source.fault('load', undefined);
    expect((await openPans(sealed, cells)).values).toEqual([PAN]);
  });

  it('refuses the private half of another pair', async () => {
    const sealed = await bench('sealed', { pool: { validKeys: 2 } });
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
    const sealed = await bench();
    const { cells } = await sealAll(sealed, [PAN, PAN, PAN]);
    const page = [cells[0]!, flipped(cells[1]!, at), cells[2]!];
    for (let i = 0; i < 2; i++) {
      const { values, failures } = await openPans(sealed, page);
      expect(values).toEqual([PAN, undefined, PAN]);
      expect(failures!.get(1)!.code).toBe(code);
    }
  });

  it('refuses a genuine header of another pair under the fingerprint of this one', async () => {
    const sealed = await bench('sealed', { pool: { validKeys: 2 } });
    const [one, other] = sealed.source.pairs(PURPOSE);
    const cell = forgedCell(one!, PAN);
    Buffer.from(other!.fingerprint.replaceAll('-', ''), 'hex').copy(cell, FINGERPRINT_AT);
    expect((await openPans(sealed, [cell])).failures!.get(0)!.code).toBe('ERR_OPEN_FAILED');
  });

  it.each(['application', 'environment', 'purpose'] as const)(
    'refuses a session key that was sealed for another %s',
    async (member) => {
      const sealed = await bench('sealed', { pool: { validKeys: 1 } });
      const [pair] = sealed.source.pairs(PURPOSE);
      const cell = forgedCell(pair!, PAN, { ...OWNER, [member]: 'other' });
      Buffer.from(pair!.fingerprint.replaceAll('-', ''), 'hex').copy(cell, FINGERPRINT_AT);
      expect((await openPans(sealed, [cell])).failures!.get(0)!.code).toBe('ERR_OPEN_FAILED');
    },
  );

  it('opens what anybody forged who has the public key: public keys authenticate nobody', async () => {
    const sealed = await bench();
    const forged = forgedCell(sealed.source.pairs(PURPOSE)[0]!, 'a value of the forger');
    expect((await openPans(sealed, [forged])).values).toEqual(['a value of the forger']);
  });

  it('opens so many session keys for one page and no more, and says how to read the rest', async () => {
    const sealed = await bench({ sealed: { sessionsPerPage: 3 } });
    const { cells } = await sealAll(sealed, Array<string>(5).fill(PAN));
    const { values, failures } = await openPans(sealed, cells);
    expect(values).toEqual([PAN, PAN, PAN, undefined, undefined]);
    expect(failures!.get(4)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true });
    expect(failures!.get(4)!.message).toContain('sessionsPerPage');
    expect((await openPans(sealed, cells)).values).toEqual(Array<string>(5).fill(PAN));
  });

  it('spends nothing on a forged header that it has seen', async () => {
    const sealed = await bench({ sealed: { sessionsPerPage: 2 } });
    const { cells } = await sealAll(sealed, [PAN, PAN, PAN, PAN]);
    const forged = cells.slice(0, 2).map((cell) => flipped(cell!, SESSION_AT));
    await openPans(sealed, forged);
    // Counted anew, these two would leave nothing for the others.
    const { values } = await openPans(sealed, [...forged, ...cells.slice(2)]);
    expect(values).toEqual([undefined, undefined, PAN, PAN]);
  });

  it('keeps keys in use of a page that has more of them than the keyring holds', async () => {
    const sealed = await bench('sealed', {}, { keyring: { max: 1 } });
    const { cells } = await sealAll(sealed, Array<string>(20).fill(PAN));
    expect((await openPans(sealed, cells)).values).toEqual(Array<string>(20).fill(PAN));
    expect(sealed.seal.stats().keyringSize).toBeLessThanOrEqual(2);
  });

  it('refuses what the purpose does not accept, and fetches no key for it', async () => {
    const [sealed, pool] = [await bench(), await openBench()];
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
    const sealed = await bench('sealed', both);
    const [fingerprint] = sealed.source.addKeys(PURPOSE, 1);
    const { cells } = await sealAll(sealed, [PAN]);
    const page = [cells[0]!, cellUnder(sealed.source, fingerprint!)];
    expect((await openPans(sealed, page)).values).toEqual([PAN, PAN]);
  });

  it('finds no key of the one kind by the fingerprint of the other', async () => {
    const sealed = await bench('sealed', both);
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
