/** Public keys that take many turns to parse: what may happen between those turns. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { turnsDuring } from '../../bench/longest-block.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { MemorySource } from './memory-source.js';
import { HOUR, PURPOSE, type Bench } from './seal-fixture.js';
import { openSealed, OWNER } from './sealed-fixture.js';

const KEYS = 600;
const many = Array.from({ length: KEYS }, () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return PublicKey.parse(publicKey.export({ format: 'der', type: 'spki' }), OWNER);
});
const turn = () => new Promise(setImmediate);

/** A field seal that holds a few keys and is in the midst of taking many. */
async function takingMany(): Promise<Bench & { readonly refreshed: () => number }> {
  const source = new MemorySource();
  const few = source.publicKeys.bind(source);
  const asked = { forMany: false };
  source.publicKeys = async (purpose) => {
    const [first] = await few(purpose);
    asked.forMany = bench !== undefined;
    return asked.forMany ? many.map(({ spki }) => ({ ...first!, spki })) : [first!];
  };
  let bench: Bench | undefined = undefined;
  bench = await openSealed('sealed', {}, { source });
  const { seal, clock, events } = bench;
  const refreshed = () => events.filter(({ type }) => type === 'pool-refreshed').length;
  expect([refreshed(), seal.stats().pools[PURPOSE]!.keys]).toEqual([1, 1]);
  clock.setWallBy(HOUR);
  const rows = [{ column: bench.pan, values: ['4111111111111111'] }];
  (await seal.prepare(rows)).close();
  while (!asked.forMany) await turn();
  await turn();
  expect(refreshed()).toBe(1);
  return { ...bench, refreshed };
}

async function ended(isEnded: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isEnded() && performance.now() < end) await turn();
  expect(isEnded()).toBe(true);
}

describe('many public keys of a source', () => {
  it('let the event loop turn while they are parsed', async () => {
    const taking = await takingMany();
    const { turns } = await turnsDuring(() => ended(() => taking.refreshed() === 2));
    expect(turns).toBeGreaterThan(2);
    expect(taking.seal.stats().pools[PURPOSE]!.keys).toBe(KEYS);
  });

  it('are not sealed under where they are revoked meanwhile, parsed already or not', async () => {
    const taking = await takingMany();
    const revoked = [many[0]!, many.at(-1)!].map(({ fingerprint }) => fingerprint);
    taking.source.revoke(revoked);
    expect(taking.refreshed()).toBe(1);
    await ended(() => taking.refreshed() === 2);
    expect(taking.seal.stats().pools[PURPOSE]!.keys).toBe(KEYS - revoked.length);
  });

  it('are not sealed under where the field seal is closed meanwhile', async () => {
    const taking = await takingMany();
    await taking.seal.close();
    expect(taking.refreshed()).toBe(1);
    const began = performance.now();
    while (performance.now() < began + 500) await turn();
    expect([taking.refreshed(), taking.clock.armed]).toEqual([1, 0]);
    expect(taking.seal.stats().pools[PURPOSE]!.keys).toBe(0);
    expect(taking.events.filter(({ type }) => type === 'refresh-failed')).toEqual([]);
  });
});
