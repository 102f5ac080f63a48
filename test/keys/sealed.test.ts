/** Sealed delivery: each record, or each window, under a session key that its cells carry, sealed to a key pair. */
import { describe, expect, it } from 'vitest';
import { parseCell } from '../../src/cell/format.js';
import { KmsError } from '../../src/errors.js';
import { settle } from './fake-clock.js';
import { fail, gate, MemorySource } from './memory-source.js';
import { HOUR, MINUTE, openPans, PURPOSE, rejection, thrown } from './seal-fixture.js';
import { headersOf, openSealed, PAN, sealAll } from './sealed-fixture.js';

describe('sealed delivery', () => {
  it('gives each record a session key of its own, under one of the key pairs at random', async () => {
    const sealed = await openSealed();
    const pans = await sealAll(sealed, Array<string>(60).fill(PAN));
    expect(headersOf(pans)).toHaveLength(60);
    expect(new Set(pans.fingerprints)).toEqual(
      new Set(sealed.source.pairs(PURPOSE).map(({ fingerprint }) => fingerprint)),
    );
    expect(parseCell(pans.cells[0]!).header.delivery).toBe('sealed');
    expect((await openPans(sealed, pans.cells)).values).toEqual(Array<string>(60).fill(PAN));
  });

  it('asks nobody for anything while it seals, and loads no private key for it', async () => {
    const sealed = await openSealed();
    const before = sealed.source.calls.length;
    await sealAll(sealed, [PAN, null, PAN]);
    expect(sealed.source.calls.slice(before)).toEqual([]);
    expect([sealed.source.count('handOut'), sealed.source.count('load')]).toEqual([0, 0]);
    expect(sealed.seal.stats().pools).toMatchObject({ [PURPOSE]: { keys: 3, outageMinutes: 120 } });
  });

  it('seals nothing that was not prepared', async () => {
    const { seal, pan } = await openSealed();
    thrown(() => seal.sealRows([{ column: pan, values: [PAN] }]), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN), 'ERR_SEAL_NOT_PREPARED');
    const cell = await seal.sealAsync(PURPOSE, 'cards.pan', PAN);
    expect(await seal.open(PURPOSE, 'cards.pan', cell)).toBe(PAN);
  });

  it('is refused after close', async () => {
    const sealed = await openSealed();
    await sealed.seal.close();
    await rejection(sealAll(sealed, [PAN]), 'ERR_CLOSED');
    expect(sealed.clock.armed).toBe(0);
  });

  it('works with xaes-256-gcm', async () => {
    const sealed = await openSealed('sealed', { suite: 'xaes-256-gcm' });
    const { cells } = await sealAll(sealed, [PAN, PAN]);
    expect((await openPans(sealed, cells)).values).toEqual([PAN, PAN]);
  });
});

describe('a reuse window of session keys', () => {
  const reuse = { sealed: { reuse: { cells: 10, for: '5m' } } } as const;

  it('seals so many cells under one session key, then makes another', async () => {
    const sealed = await openSealed(reuse);
    expect(headersOf(await sealAll(sealed, Array<string>(25).fill(PAN)))).toHaveLength(3);
  });

  it.each(['wall', 'monotonic'] as const)('ends with its time by the %s clock', async (which) => {
    const sealed = await openSealed(reuse);
    const before = await sealAll(sealed, [PAN]);
    if (which === 'wall') sealed.clock.setWallBy(5 * MINUTE);
    else await sealed.clock.advance(5 * MINUTE);
    expect(headersOf(await sealAll(sealed, [PAN]))).not.toEqual(headersOf(before));
  });

  it('ends when its pair is revoked', async () => {
    const sealed = await openSealed(reuse);
    const { fingerprints } = await sealAll(sealed, [PAN]);
    sealed.source.revoke([fingerprints[0]!]);
    expect((await sealAll(sealed, Array<string>(5).fill(PAN))).fingerprints).not.toContain(fingerprints[0]);
  });

  it('ends when its pair may not seal any more', async () => {
    const sealed = await openSealed(
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
  it('are waited for after the process stood still', async () => {
    const sealed = await openSealed();
    sealed.clock.setWallBy(3 * HOUR);
    await sealAll(sealed, [PAN]);
  });

  it.each(['wall', 'monotonic'] as const)(
    'outlive a source that is down until their end by the %s clock, then nothing is sealed',
    async (which) => {
      const sealed = await openSealed();
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
    const sealed = await openSealed();
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
    const sealed = await openSealed('sealed', {}, { source });
    await sealAll(sealed, [PAN]);
    expect(sealed.events).toContainEqual(
      expect.objectContaining({ type: 'alarm', code: 'ERR_KEY_COMMITMENT' }),
    );
  });

  it('are asked for again when the last one is revoked', async () => {
    const sealed = await openSealed('sealed', { pool: { validKeys: 1 } });
    const [pair] = sealed.source.pairs(PURPOSE);
    sealed.source.fault('publicKeys', gate().fault);
    sealed.source.revoke([pair!.fingerprint]);
    await rejection(sealAll(sealed, [PAN]), 'ERR_POOL_EMPTY');
    expect(sealed.source.count('publicKeys')).toBe(2);
  });

  it('that are revoked while they are fetched are not sealed under', async () => {
    const sealed = await openSealed('sealed', { pool: { validKeys: 2 } });
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
    await rejection(openSealed('sealed', {}, { source }), 'ERR_KMS_UNAVAILABLE');
    expect(source.count('close')).toBe(1);
  });
});
