import { describe, expect, it, vi } from 'vitest';
import { DataKey } from '../../src/cell/data-key.js';
import type { FieldSealError } from '../../src/errors.js';
import { KmsError, StoreError } from '../../src/errors.js';
import { settle } from './fake-clock.js';
import { fail, gate, hang } from './memory-source.js';
import { cellUnder, HOUR, MINUTE, openBench, openPans, PURPOSE, rejection } from './seal-fixture.js';
import type { Bench, BenchOptions } from './seal-fixture.js';

const PAN = '4111111111111111';

/** A bench with keys that are not in its pool. */
async function benchWithOldKeys(
  count: number,
  options: BenchOptions = {},
): Promise<Bench & { readonly old: readonly string[] }> {
  const bench = await openBench(options);
  return { ...bench, old: bench.source.addKeys(PURPOSE, count) };
}

async function failureOf(bench: Bench, cell: Uint8Array): Promise<FieldSealError | undefined> {
  return (await openPans(bench, [cell])).failures?.get(0);
}

describe('opening under a key that is not here', () => {
  it('loads it once for the padded and the other cells of a page', async () => {
    const bench = await benchWithOldKeys(1);
    const [fingerprint] = bench.old;
    const cells = [0, 16, 0].map((pad) => cellUnder(bench.source, fingerprint!, { pad }));
    expect((await openPans(bench, cells)).values).toEqual([PAN, PAN, PAN]);
    expect(bench.seal.stats().unwraps).toBe(1);
  });
});

describe('opening while the key source is in trouble', () => {
  it('reports each row whose key is out of reach, and opens the others', async () => {
    const bench = await benchWithOldKeys(1);
    const mine = bench.seal.seal(PURPOSE, 'cards.pan', PAN);
    const down = new StoreError('ERR_STORE_UNAVAILABLE', 'the key store is down');
    bench.source.fault('load', fail(down));
    const { values, failures } = await openPans(bench, [mine, cellUnder(bench.source, bench.old[0]!), mine]);
    expect(values).toEqual([PAN, undefined, PAN]);
    expect([...failures!.keys()]).toEqual([1]);
    expect(failures!.get(1)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true, cause: down });
  });

  it('asks again the next time: a failure is not remembered', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    bench.source.fault('load', fail(new StoreError('ERR_STORE_UNAVAILABLE', 'down')));
    expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_UNAVAILABLE');
    bench.source.fault('load', undefined);
    expect((await openPans(bench, [cell])).values).toEqual([PAN]);
  });

  it('gives up on a source that hangs after a minute', async () => {
    const bench = await benchWithOldKeys(1);
    bench.source.fault('load', hang);
    const opening = failureOf(bench, cellUnder(bench.source, bench.old[0]!));
    await settle();
    await bench.clock.advance(MINUTE);
    expect((await opening)?.code).toBe('ERR_KEY_UNAVAILABLE');
  });

  it('waits for a source that is slow, and wipes the roots of an answer that is too late', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    const slow = gate();
    bench.source.fault('load', slow.fault);
    const opening = openPans(bench, [cell]);
    await settle();
    await bench.clock.advance(MINUTE - 1);
    slow.open();
    expect((await opening).values).toEqual([PAN]);
    const late = gate();
    bench.source.fault('load', late.fault);
    await bench.clock.advance(3 * HOUR);
    const refused = failureOf(bench, cell);
    await settle();
    await bench.clock.advance(MINUTE);
    expect((await refused)?.code).toBe('ERR_KEY_UNAVAILABLE');
    late.open();
    await settle();
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    expect(bench.seal.stats().unwraps).toBe(1);
  });

  it('passes on what the source says of a single key', async () => {
    const bench = await benchWithOldKeys(1);
    const denied = new KmsError('ERR_KMS_DENIED', 'denied');
    bench.source.load = () => Promise.resolve([{ fingerprint: bench.old[0]!, error: denied }]);
    expect(await failureOf(bench, cellUnder(bench.source, bench.old[0]!))).toBe(denied);
  });

  it('counts a key without an outcome as out of reach', async () => {
    const bench = await benchWithOldKeys(1);
    bench.source.load = () => Promise.resolve([]);
    expect((await failureOf(bench, cellUnder(bench.source, bench.old[0]!)))?.code).toBe(
      'ERR_KEY_UNAVAILABLE',
    );
  });

  it.each([
    ['a root of another length', { root: Buffer.alloc(16, 9) }],
    ['a root of another key', { root: Buffer.alloc(32, 9) }],
    ['another commitment', { commitment: Buffer.alloc(32, 9) }],
    ['a shorter commitment', { commitment: Buffer.alloc(31, 9) }],
    ['another fingerprint', { fingerprint: '00000000-0000-8000-8000-000000000000' }],
  ])('refuses %s, wipes it, and asks again the next time', async (_, change) => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    bench.source.garble = (key) => ({ ...key, ...change });
    expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_COMMITMENT');
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    bench.source.garble = (key) => key;
    expect((await openPans(bench, [cell])).values).toEqual([PAN]);
  });

  it('refuses a good key under the fingerprint of another', async () => {
    const bench = await benchWithOldKeys(2);
    const [wanted, other] = bench.old as [string, string];
    const load = bench.source.load.bind(bench.source);
    bench.source.load = async (purpose) =>
      (await load(purpose, [other])).map((outcome) => ({ ...outcome, fingerprint: wanted }));
    expect((await failureOf(bench, cellUnder(bench.source, wanted)))?.code).toBe('ERR_KEY_COMMITMENT');
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    expect(bench.source.context.held(PURPOSE)).not.toContain(other);
  });

  it('wipes keys that nobody asked for', async () => {
    const bench = await benchWithOldKeys(2);
    const [wanted, other] = bench.old as [string, string];
    const load = bench.source.load.bind(bench.source);
    bench.source.load = (purpose) => load(purpose, [other, wanted, wanted]);
    expect((await openPans(bench, [cellUnder(bench.source, wanted)])).values).toEqual([PAN]);
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    expect(bench.source.context.held(PURPOSE)).not.toContain(other);
  });
});

describe('loading of keys', () => {
  it('is one call for 3,000 concurrent reads of one unknown key', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    const pages = await Promise.all(Array.from({ length: 3_000 }, () => openPans(bench, [cell])));
    expect(pages.every((page) => page.values[0] === PAN)).toBe(true);
    expect(bench.source.calls.filter((call) => call.operation === 'load')).toEqual([
      expect.objectContaining({ purpose: PURPOSE, fingerprints: bench.old }),
    ]);
    expect(bench.seal.stats().unwraps).toBe(1);
  });

  it('is not needed for keys of the pool, nor for keys that were loaded before', async () => {
    const bench = await benchWithOldKeys(3);
    const cells = bench.old.map((fingerprint) => cellUnder(bench.source, fingerprint));
    await openPans(bench, cells);
    const mine = Array.from({ length: 20 }, () => bench.seal.seal(PURPOSE, 'cards.pan', PAN));
    for (let i = 0; i < 10; i++) await openPans(bench, [...cells, ...mine]);
    expect(bench.source.count('load')).toBe(1);
  });

  it('gathers what pages of one microtask lack', async () => {
    const bench = await benchWithOldKeys(4);
    const cells = bench.old.map((fingerprint) => cellUnder(bench.source, fingerprint));
    await Promise.all([
      openPans(bench, cells.slice(0, 3)),
      openPans(bench, cells.slice(1)),
      openPans(bench, cells),
    ]);
    expect(
      bench.source.calls.filter((call) => call.operation === 'load').map((call) => call.fingerprints),
    ).toEqual([bench.old]);
  });

  it('asks once per purpose', async () => {
    const bench = await benchWithOldKeys(1, { purposes: { [PURPOSE]: {}, reports: {} } });
    const [report] = bench.source.addKeys('reports', 1);
    const column = bench.seal.column({
      purpose: 'reports',
      entity: 'reports',
      field: 'body',
      codec: 'string',
    });
    const cell = cellUnder(bench.source, bench.old[0]!);
    const foreign = Buffer.from(cell);
    Buffer.from(report!.replaceAll('-', ''), 'hex').copy(foreign, 2);
    await bench.seal.openPage([
      { column: bench.pan, cells: [cell] },
      { column, cells: [foreign] },
    ]);
    const loads = bench.source.calls.filter((call) => call.operation === 'load');
    expect(loads.map((call) => call.purpose).sort()).toEqual([PURPOSE, 'reports']);
  });

  it('does not take a key of one purpose for one of another', async () => {
    const bench = await benchWithOldKeys(1, { purposes: { [PURPOSE]: {}, reports: {} } });
    const column = bench.seal.column({ purpose: 'reports', entity: 'cards', field: 'pan2', codec: 'string' });
    const cell = cellUnder(bench.source, bench.old[0]!);
    await openPans(bench, [cell]);
    const [opened] = await bench.seal.openPage([{ column, cells: [cell] }]);
    expect(opened!.failures?.get(0)?.code).toBe('ERR_KEY_NOT_FOUND');
  });

  it('remembers for five seconds that there is no such key', async () => {
    const bench = await openBench();
    const cell = Buffer.from(bench.seal.seal(PURPOSE, 'cards.pan', PAN));
    cell.fill(0x77, 2, 18);
    for (let i = 0; i < 5; i++) expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_NOT_FOUND');
    expect(bench.source.count('load')).toBe(1);
    await bench.clock.advance(5_001);
    await failureOf(bench, cell);
    expect(bench.source.count('load')).toBe(2);
  });

  it('does not remember that a key may not open', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    bench.source.suspended.add(bench.old[0]!);
    expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_STATE');
    bench.source.suspended.clear();
    expect((await openPans(bench, [cell])).values).toEqual([PAN]);
  });
});

describe('the time a key is held', () => {
  it('ends openCache after the unwrap, however often it is used', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    await openPans(bench, [cell]);
    for (let i = 0; i < 119; i++) {
      await bench.clock.advance(MINUTE);
      await openPans(bench, [cell]);
    }
    expect(bench.source.count('load')).toBe(1);
    await bench.clock.advance(MINUTE);
    await openPans(bench, [cell]);
    expect(bench.source.count('load')).toBe(2);
  });

  it('is counted from before the answer of a slow source', async () => {
    const bench = await benchWithOldKeys(1);
    const slow = gate();
    bench.source.fault('load', slow.fault);
    const opening = openPans(bench, [cellUnder(bench.source, bench.old[0]!)]);
    await settle();
    await bench.clock.advance(30_000);
    slow.open();
    await opening;
    await bench.clock.advance(2 * HOUR - 30_000);
    expect(bench.source.context.held(PURPOSE)).not.toContain(bench.old[0]);
  });

  it('ends by a timer even when nobody reads', async () => {
    const bench = await benchWithOldKeys(2);
    await openPans(bench, [cellUnder(bench.source, bench.old[0]!)]);
    await bench.clock.advance(HOUR);
    await openPans(bench, [cellUnder(bench.source, bench.old[1]!)]);
    await bench.clock.advance(HOUR);
    expect(bench.source.context.held(PURPOSE)).not.toContain(bench.old[0]);
    expect(bench.source.context.held(PURPOSE)).toContain(bench.old[1]);
    await bench.clock.advance(HOUR);
    expect(bench.source.context.held(PURPOSE)).not.toContain(bench.old[1]);
  });

  it('ends when the wall clock is put ahead, and not later when it is put back', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    await openPans(bench, [cell]);
    bench.clock.setWallBy(3 * HOUR);
    await openPans(bench, [cell]);
    expect(bench.source.count('load')).toBe(2);
    bench.clock.setWallBy(-6 * HOUR);
    await bench.clock.advance(2 * HOUR);
    await openPans(bench, [cell]);
    expect(bench.source.count('load')).toBe(3);
  });
});

describe('a full keyring', () => {
  it('opens a page with more keys than it keeps', async () => {
    const bench = await benchWithOldKeys(20, { keyring: { max: 2 } });
    const cells = bench.old.map((fingerprint, i) =>
      cellUnder(bench.source, fingerprint, { value: `card ${i}` }),
    );
    const { values, failures } = await openPans(bench, cells);
    expect(failures).toBeUndefined();
    expect(values).toEqual(bench.old.map((_, i) => `card ${i}`));
    expect(bench.source.count('load')).toBe(1);
    expect(bench.seal.stats().keyringSize).toBe(2);
  });

  it('lets go of the key that was used longest ago', async () => {
    const bench = await benchWithOldKeys(3, { keyring: { max: 2 } });
    const [a, b, c] = bench.old.map((fingerprint) => cellUnder(bench.source, fingerprint)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    for (const cell of [a, b, a, c]) await openPans(bench, [cell]);
    const held = bench.source.context.held(PURPOSE);
    expect(bench.old.map((fingerprint) => held.includes(fingerprint))).toEqual([true, false, true]);
  });

  it('does not take keys away from pages that are waiting for others', async () => {
    const bench = await benchWithOldKeys(12, { keyring: { max: 2 } });
    const cells = bench.old.map((fingerprint) => cellUnder(bench.source, fingerprint));
    const pages = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        openPans(bench, [cells[i % 12]!, cells[(i + 5) % 12]!, cells[(i * 7) % 12]!]),
      ),
    );
    expect(pages.every((page) => page.failures === undefined)).toBe(true);
  });
});

describe('revocation', () => {
  it('of a loaded key stops opening at once', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    await openPans(bench, [cell]);
    bench.source.revoke(bench.old);
    expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_STATE');
    expect(bench.events).toContainEqual({ type: 'key-revoked', purpose: PURPOSE, fingerprint: bench.old[0] });
  });

  it('of a key that no page uses any more closes it', async () => {
    const bench = await benchWithOldKeys(1);
    const cell = cellUnder(bench.source, bench.old[0]!);
    await Promise.all([openPans(bench, [cell]), openPans(bench, [cell, cell])]);
    await openPans(bench, [cell]);
    const close = vi.spyOn(DataKey.prototype, 'close');
    bench.source.revoke(bench.old);
    expect(close).toHaveBeenCalledTimes(1);
    close.mockRestore();
  });

  it('of a pool key stops opening with it as well', async () => {
    const bench = await openBench();
    const cell = bench.seal.seal(PURPOSE, 'cards.pan', PAN);
    bench.source.revoke(bench.source.keys(PURPOSE));
    expect((await failureOf(bench, cell))?.code).toBe('ERR_KEY_STATE');
  });

  it('does not take a key from a page that has it and waits for another; the next page does not get it', async () => {
    const bench = await benchWithOldKeys(2);
    const cells = bench.old.map((fingerprint) => cellUnder(bench.source, fingerprint));
    await openPans(bench, [cells[0]!]);
    const slow = gate();
    bench.source.fault('load', slow.fault);
    const opening = openPans(bench, cells);
    await settle();
    bench.source.revoke([bench.old[0]!]);
    const next = openPans(bench, [cells[0]!]);
    slow.open();
    expect((await opening).values).toEqual([PAN, PAN]);
    expect((await next).failures?.get(0)?.code).toBe('ERR_KEY_STATE');
  });

  it('of a key that is being loaded keeps it out, though the source had read it before', async () => {
    const bench = await benchWithOldKeys(1);
    const slow = gate();
    bench.source.fault('load', slow.fault);
    const opening = failureOf(bench, cellUnder(bench.source, bench.old[0]!));
    await settle();
    bench.source.context.revoke(bench.old);
    slow.open();
    expect((await opening)?.code).toBe('ERR_KEY_STATE');
    expect(bench.source.context.held(PURPOSE)).not.toContain(bench.old[0]);
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
  });
});

describe('closing', () => {
  it('while keys are loaded refuses the page and wipes the keys that still arrive', async () => {
    const bench = await benchWithOldKeys(1);
    const slow = gate();
    bench.source.fault('load', slow.fault);
    const opening = rejection(openPans(bench, [cellUnder(bench.source, bench.old[0]!)]), 'ERR_CLOSED');
    await settle();
    await bench.seal.close();
    await opening;
    slow.open();
    await settle();
    expect(bench.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
  });

  it('in the microtask in which a key was asked for does not ask the source any more', async () => {
    const bench = await benchWithOldKeys(1);
    const opening = rejection(openPans(bench, [cellUnder(bench.source, bench.old[0]!)]), 'ERR_CLOSED');
    await bench.seal.close();
    await opening;
    expect(bench.source.count('load')).toBe(0);
  });
});
