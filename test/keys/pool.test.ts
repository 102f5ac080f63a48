import { describe, expect, it } from 'vitest';
import { KmsError, StoreError } from '../../src/errors.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import { FakeClock, settle } from './fake-clock.js';
import { fail, gate, hang, MemorySource } from './memory-source.js';
import type { Call } from './memory-source.js';
import { HOUR, MINUTE, openBench, openPans, PURPOSE, rejection, sealPans, thrown } from './seal-fixture.js';
import type { Bench } from './seal-fixture.js';

const DOWN = new StoreError('ERR_STORE_UNAVAILABLE', 'the key store is down');

function events<T extends FieldSealEvent['type']>(
  bench: Bench,
  type: T,
): Extract<FieldSealEvent, { type: T }>[] {
  return bench.events.filter((event): event is Extract<FieldSealEvent, { type: T }> => event.type === type);
}

function usageOf(call: Call | undefined): { cells: number; bytes: number } {
  const usage = call?.usage ?? [];
  return {
    cells: usage.reduce((sum, key) => sum + key.cells, 0),
    bytes: usage.reduce((sum, key) => sum + key.bytes, 0),
  };
}

const lastHandOut = (bench: Bench): Call | undefined =>
  bench.source.calls.filter((call) => call.operation === 'handOut').at(-1);

describe('a pool whose key source is in trouble', () => {
  it('goes on sealing with its old keys until the outage limit, then refuses', async () => {
    const bench = await openBench();
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(2 * HOUR - 1_000);
    expect(sealPans(bench, ['4111']).cells[0]).toBeInstanceOf(Buffer);
    await bench.clock.advance(1_000);
    const error = thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_STALE');
    expect(error.retryable).toBe(true);
    expect(error.message).toContain('Pool of purpose card-number');
  });

  it('takes the outage limit from the policy', async () => {
    const purposes = { [PURPOSE]: { pool: { lifetime: '10m' }, outage: { seal: '5m' } } } as const;
    const bench = await openBench({ purposes });
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(15 * MINUTE - 1);
    sealPans(bench, ['4111']);
    await bench.clock.advance(1);
    thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_STALE');
  });

  it('tells of each failed refresh, with the time that is left, and waits longer each time up to a minute', async () => {
    const bench = await openBench();
    const failedAt: number[] = [];
    bench.source.fault('handOut', () => {
      failedAt.push(bench.clock.monotonic());
      return Promise.reject(DOWN);
    });
    await bench.clock.advance(HOUR + 10 * MINUTE);
    const failed = events(bench, 'refresh-failed');
    expect(failed.length).toBe(failedAt.length);
    expect(failed[0]).toMatchObject({ purpose: PURPOSE, error: DOWN });
    expect(failed[0]!.outageLeftMs).toBe(2 * HOUR - failedAt[0]!);
    const waits = failedAt.slice(1).map((at, i) => at - failedAt[i]!);
    expect(waits[0]).toBeLessThanOrEqual(1_000);
    expect(waits[3]).toBeGreaterThan(waits[1]!);
    expect(Math.max(...waits)).toBeLessThanOrEqual(MINUTE);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(0.9 * MINUTE);
  });

  it('seals again as soon as a refresh succeeds', async () => {
    const bench = await openBench();
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(5 * HOUR);
    thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_STALE');
    bench.source.fault('handOut', undefined);
    await bench.clock.advance(MINUTE);
    sealPans(bench, ['4111']);
    expect(bench.seal.stats().pools[PURPOSE]!.outageMinutes).toBeGreaterThan(110);
  });

  it('holds no key any more once it may neither seal nor open', async () => {
    const bench = await openBench();
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(2 * HOUR + MINUTE);
    expect(bench.seal.stats().pools[PURPOSE]!.keys).toBe(0);
    expect(bench.source.context.held(PURPOSE)).toHaveLength(1); // the index key
  });

  it('does not wait for a source that hangs, and wipes what comes too late', async () => {
    const bench = await openBench();
    const late = gate();
    bench.source.fault('handOut', late.fault);
    await bench.clock.advance(bench.clock.nextInMs);
    expect(events(bench, 'refresh-failed')).toHaveLength(0);
    await bench.clock.advance(2 * MINUTE);
    expect(events(bench, 'refresh-failed')[0]!.error.code).toBe('ERR_KEY_UNAVAILABLE');
    const before = bench.seal.stats().pools[PURPOSE]!.ageMs;
    late.open();
    await settle();
    expect(bench.seal.stats().pools[PURPOSE]!.ageMs).toBeLessThanOrEqual(before);
    expect(bench.source.lent.every(isWiped)).toBe(true);
  });

  it.each([undefined, [undefined], {}])(
    'counts an answer of %j as a failure, in time or too late',
    async (answer) => {
      const bench = await openBench();
      const late = gate();
      bench.source.handOut = async () => {
        await late.fault({
          operation: 'handOut',
          purpose: PURPOSE,
          fingerprints: [],
          usage: [],
          exhausted: [],
        });
        return answer as unknown as [];
      };
      await bench.clock.advance(bench.clock.nextInMs);
      await bench.clock.advance(MINUTE);
      expect(events(bench, 'refresh-failed')).toHaveLength(1);
      late.open();
      await settle();
      await bench.clock.advance(MINUTE);
      expect(events(bench, 'refresh-failed').at(-1)!.error.code).toBe('ERR_KEY_UNAVAILABLE');
      sealPans(bench, ['4111']);
    },
  );

  it('keeps the pool when the source has no key to give', async () => {
    const bench = await openBench();
    bench.source.choose = () => [];
    await bench.clock.advance(HOUR);
    expect(events(bench, 'refresh-failed')[0]!.error.code).toBe('ERR_POOL_EMPTY');
    sealPans(bench, ['4111']);
  });

  it('tells only the class of an error that is not coded', async () => {
    const bench = await openBench();
    bench.source.fault('handOut', fail(new RangeError('root 00112233')));
    await bench.clock.advance(HOUR);
    const { error } = events(bench, 'refresh-failed')[0]!;
    expect(error.code).toBe('ERR_KEY_UNAVAILABLE');
    expect(error.message).toContain('RangeError');
    expect(error.message).not.toContain('00112233');
    expect(error.cause).toBeUndefined();
  });
});

describe('a pool that is given bad keys', () => {
  it('leaves out a key with another commitment, raises an alarm, and wipes its root', async () => {
    const source = new MemorySource();
    source.garble = (key) =>
      key.fingerprint === source.keys(PURPOSE)[0] ? { ...key, commitment: Buffer.alloc(32, 7) } : key;
    const bench = await openBench({ source });
    expect(bench.seal.stats().pools[PURPOSE]!.keys).toBe(2);
    expect(events(bench, 'alarm')).toEqual([
      expect.objectContaining({ code: 'ERR_KEY_COMMITMENT', fingerprint: source.keys(PURPOSE)[0] }),
    ]);
    expect(source.lent.every(isWiped)).toBe(true);
  });

  it('does not start when every root is garbage', async () => {
    const source = new MemorySource();
    source.garble = (key) => (key.version === 0 ? { ...key, root: Buffer.alloc(31, 1) } : key);
    await rejection(openBench({ source }), 'ERR_POOL_EMPTY');
    expect(source.lent.every(isWiped)).toBe(true);
    expect(source.count('close')).toBe(1);
  });

  it('does not start with keys whose time is over by its own clock', async () => {
    const source = new MemorySource();
    const fakeClock = new FakeClock();
    source.fault('handOut', () => {
      fakeClock.setWallBy(3 * HOUR);
      return Promise.resolve();
    });
    await rejection(openBench({ source, fakeClock }), 'ERR_POOL_EMPTY');
  });

  it('leaves out a key without a time to retire', async () => {
    const source = new MemorySource();
    source.garble = (key) =>
      'retires' in key && key.fingerprint === source.keys(PURPOSE)[0] ? { ...key, retires: Number.NaN } : key;
    const bench = await openBench({ source });
    expect(bench.seal.stats().pools[PURPOSE]!.keys).toBe(2);
  });

  it('takes a key that comes twice once', async () => {
    const source = new MemorySource();
    source.choose = (purpose) => [
      source.keys(purpose)[0]!,
      source.keys(purpose)[0]!,
      source.keys(purpose)[1]!,
    ];
    const bench = await openBench({ source });
    expect(bench.seal.stats().pools[PURPOSE]!.keys).toBe(2);
    expect(source.lent.every(isWiped)).toBe(true);
  });
});

describe('a pool of a process that stood still', () => {
  const rows = (bench: Bench) => [{ column: bench.pan, values: ['4111'] }];

  it('is waited for by whoever may wait', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(3 * HOUR);
    const cell = await bench.seal.sealAsync(PURPOSE, 'cards.pan', '4111');
    expect(await bench.seal.open(PURPOSE, 'cards.pan', cell)).toBe('4111');
    bench.clock.setWallBy(3 * HOUR);
    (await bench.seal.prepare(rows(bench))).close();
    sealPans(bench, ['4111']);
    expect(bench.source.count('handOut')).toBe(3);
  });

  it('is asked for keys once by any number of statements, and once more where the first connection was broken', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(3 * HOUR);
    bench.source.fault('handOut', () => {
      bench.source.fault('handOut', undefined);
      return Promise.reject(DOWN);
    });
    await Promise.all(Array.from({ length: 50 }, () => bench.seal.sealAsync(PURPOSE, 'cards.pan', '4111')));
    expect(bench.source.count('handOut')).toBe(3);
  });

  it('is not waited for once a refresh has failed, nor by a statement without a value', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(3 * HOUR);
    (await bench.seal.prepare([{ column: bench.pan, values: [null] }])).close();
    expect(bench.source.count('handOut')).toBe(1);
    bench.source.fault('handOut', fail(DOWN));
    await expect(bench.seal.sealAsync(PURPOSE, 'cards.pan', '4111')).rejects.toMatchObject({
      code: 'ERR_POOL_STALE',
      message: expect.stringContaining('2 failed since') as string,
    });
    await expect(bench.seal.sealAsync(PURPOSE, 'cards.pan', '4111')).rejects.toMatchObject({
      code: 'ERR_POOL_STALE',
    });
    expect(bench.source.count('handOut')).toBe(3);
  });

  it('tells those who cannot wait what is true: no refresh has failed', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(3 * HOUR);
    const { message } = thrown(() => bench.seal.seal(PURPOSE, 'cards.pan', '4111'), 'ERR_POOL_STALE');
    expect(message).toMatch(/none has failed since: .* stood still.*sealAsync/u);
    expect(message).not.toContain('events');
  });
});

it('a pool that was asked for in time, of a source that does not answer, is not said to be of a process that stood still', async () => {
  const purposes = { [PURPOSE]: { pool: { lifetime: '10s' }, outage: { seal: '5s' } } } as const;
  const bench = await openBench({ purposes });
  bench.source.fault('handOut', hang);
  await bench.clock.advance(20_000);
  const { message } = thrown(() => bench.seal.seal(PURPOSE, 'cards.pan', '4111'), 'ERR_POOL_STALE');
  expect(message).toMatch(/none has failed since, and one has waited for the key source for 1\d{4} ms/u);
  expect(message).not.toContain('stood still');
});

describe('a pool whose clock is set', () => {
  it('stops sealing when the wall clock is put 3 h ahead, and asks for new keys at once', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(3 * HOUR);
    thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_STALE');
    await settle();
    sealPans(bench, ['4111']);
    expect(bench.source.count('handOut')).toBe(2);
  });

  it('is refreshed behind the next statement when the wall clock is put past its lifetime', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(90 * MINUTE);
    sealPans(bench, ['4111']);
    await settle();
    expect(bench.source.count('handOut')).toBe(2);
  });

  it('does not live longer when the wall clock is put 3 h back', async () => {
    const bench = await openBench();
    bench.clock.setWallBy(-3 * HOUR);
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(2 * HOUR - 1_000);
    sealPans(bench, ['4111']);
    await bench.clock.advance(1_000);
    thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_STALE');
  });

  it('is not believed longer than the policy says when the source sets a later end', async () => {
    const source = new MemorySource();
    source.garble = (key) => ('sealUntil' in key ? { ...key, sealUntil: Number.MAX_SAFE_INTEGER } : key);
    const bench = await openBench({ source });
    expect(bench.seal.stats().pools[PURPOSE]!.outageMinutes).toBe(120);
  });

  it('reports the age by the clock that is ahead', async () => {
    const bench = await openBench();
    await bench.clock.advance(10 * MINUTE);
    expect(bench.seal.stats().pools[PURPOSE]).toEqual({ keys: 3, ageMs: 10 * MINUTE, outageMinutes: 110 });
    bench.clock.setWallBy(20 * MINUTE);
    expect(bench.seal.stats().pools[PURPOSE]!.ageMs).toBe(30 * MINUTE);
    bench.clock.setWallBy(-HOUR);
    expect(bench.seal.stats().pools[PURPOSE]!.ageMs).toBe(10 * MINUTE);
  });
});

describe('a pool and revocation', () => {
  it('never seals with a revoked key again, and says which it was', async () => {
    const bench = await openBench();
    const [first] = bench.source.keys(PURPOSE);
    bench.source.revoke([first!]);
    const { fingerprints } = sealPans(
      bench,
      Array.from({ length: 200 }, () => '4111'),
    );
    expect(fingerprints).not.toContain(first);
    expect(events(bench, 'key-revoked')).toEqual([
      { type: 'key-revoked', purpose: PURPOSE, fingerprint: first },
    ]);
  });

  it('refuses to seal when the last key is gone, and asks for new ones at once', async () => {
    const bench = await openBench();
    bench.source.revoke(bench.source.keys(PURPOSE).slice(0, 3));
    thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
    await settle();
    const { fingerprints } = sealPans(bench, ['4111']);
    expect(bench.source.keys(PURPOSE).slice(3)).toContain(fingerprints[0]);
  });

  it('does not let in a key that was revoked while its hand-out was under way', async () => {
    const bench = await openBench();
    const late = gate();
    bench.source.fault('handOut', late.fault);
    await bench.clock.advance(bench.clock.nextInMs);
    const [first] = bench.source.keys(PURPOSE);
    bench.source.context.revoke([first!]);
    late.open();
    await settle();
    expect(bench.source.count('handOut')).toBe(2);
    expect(bench.seal.stats().pools[PURPOSE]!.keys).toBe(2);
    expect(bench.source.lent.every(isWiped)).toBe(true);
  });
});

describe('the refresh of a pool', () => {
  it('comes before the lifetime is over, at another time in each process', async () => {
    const times = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const bench = await openBench();
      times.add(bench.clock.nextInMs);
      await bench.seal.close();
    }
    for (const time of times) {
      expect(time).toBeGreaterThan(0.9 * HOUR);
      expect(time).toBeLessThanOrEqual(HOUR);
    }
    expect(times.size).toBeGreaterThan(1);
  });

  it('comes as soon as the first key retires', async () => {
    const source = new MemorySource();
    const fakeClock = new FakeClock();
    const retires = fakeClock.wall() + 10 * MINUTE;
    source.garble = (key) => (key.fingerprint === source.keys(PURPOSE)[1] ? { ...key, retires } : key);
    await openBench({ source, fakeClock });
    expect(fakeClock.nextInMs).toBe(10 * MINUTE);
  });

  it('does not spin when keys are handed out that retired before', async () => {
    const source = new MemorySource();
    source.garble = (key) => ('retires' in key ? { ...key, retires: 0 } : key);
    const { clock } = await openBench({ source });
    await clock.advance(MINUTE);
    expect(source.count('handOut')).toBeLessThanOrEqual(61);
  });

  it('is one at a time, however many ask for it', async () => {
    const bench = await openBench();
    const late = gate();
    bench.source.fault('handOut', late.fault);
    bench.source.revoke(bench.source.keys(PURPOSE).slice(0, 3));
    for (let i = 0; i < 100; i++) thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
    await bench.clock.advance(50_000);
    expect(bench.source.count('handOut')).toBe(2);
    late.open();
    await settle();
    sealPans(bench, ['4111']);
  });

  it('lets go of keys the new hand-out has not, for sealing; they open to the end of openCache', async () => {
    const bench = await openBench();
    const cells = sealPans(
      bench,
      Array.from({ length: 50 }, () => '4111'),
    ).cells;
    bench.source.choose = (purpose) => bench.source.keys(purpose).slice(2);
    await bench.clock.advance(HOUR);
    expect(
      sealPans(
        bench,
        Array.from({ length: 50 }, () => '4111'),
      ).fingerprints,
    ).not.toContain(bench.source.keys(PURPOSE)[0]);
    await openPans(bench, cells);
    expect(bench.source.count('load')).toBe(0);
    bench.source.fault('load', fail(new KmsError('ERR_KMS_TIMEOUT', 'slow')));
    await bench.clock.advance(HOUR);
    expect((await openPans(bench, cells)).failures?.size).toBeGreaterThan(0);
  });

  it('tells how many keys there are now', async () => {
    const bench = await openBench();
    expect(events(bench, 'pool-refreshed')).toEqual([{ type: 'pool-refreshed', purpose: PURPOSE, keys: 3 }]);
    await bench.clock.advance(HOUR);
    expect(events(bench, 'pool-refreshed')).toHaveLength(2);
  });
});

describe('the choice among the keys of a pool', () => {
  it('is uniform, per row', async () => {
    const bench = await openBench();
    const { fingerprints } = sealPans(
      bench,
      Array.from({ length: 6_000 }, () => '4111'),
    );
    const counts = bench.source
      .keys(PURPOSE)
      .slice(0, 3)
      .map((key) => fingerprints.filter((one) => one === key).length);
    // 2,000 each, standard deviation 37: eight of them.
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(300);
  });

  it('is one key for all columns of a row that share a purpose', async () => {
    const bench = await openBench();
    const holder = bench.seal.column({ purpose: PURPOSE, entity: 'cards', field: 'holder', codec: 'string' });
    const values = Array.from({ length: 100 }, () => 'x');
    const [pans, holders] = bench.seal.sealRows([
      { column: bench.pan, values },
      { column: holder, values },
    ]);
    expect(pans!.fingerprints).toEqual(holders!.fingerprints);
  });
});

describe('the usage of pool keys', () => {
  it('is reported at each refresh: cells and plaintext bytes of each key', async () => {
    const bench = await openBench();
    const sealed = sealPans(bench, ['a', 'bb', null, 'cccc', undefined, '']);
    await bench.clock.advance(HOUR);
    expect(usageOf(lastHandOut(bench))).toEqual({ cells: 4, bytes: 7 });
    const [first] = lastHandOut(bench)!.usage;
    expect(first!.cells).toBe(sealed.fingerprints.filter((one) => one === first!.fingerprint).length);
    await bench.clock.advance(HOUR);
    expect(usageOf(lastHandOut(bench))).toEqual({ cells: 0, bytes: 0 });
  });

  it('is not lost when a refresh fails, and what is sealed meanwhile comes on top', async () => {
    const bench = await openBench();
    sealPans(bench, ['a', 'bb']);
    bench.source.fault('handOut', fail(DOWN));
    await bench.clock.advance(HOUR);
    sealPans(bench, ['ccc']);
    bench.source.fault('handOut', undefined);
    await bench.clock.advance(2 * MINUTE);
    expect(usageOf(lastHandOut(bench))).toEqual({ cells: 3, bytes: 6 });
  });

  it('of a refresh under way waits for the next', async () => {
    const bench = await openBench();
    const late = gate();
    bench.source.fault('handOut', late.fault);
    await bench.clock.advance(bench.clock.nextInMs);
    sealPans(bench, ['dddd']);
    late.open();
    await settle();
    bench.source.choose = (purpose) => bench.source.keys(purpose).slice(3);
    await bench.clock.advance(HOUR);
    expect(usageOf(lastHandOut(bench))).toEqual({ cells: 1, bytes: 4 });
  });

  it.each([
    { limit: { maxCells: 10 }, cells: 30 },
    { limit: { maxBytes: 40 }, cells: 30 },
  ])(
    'stops a key at $limit without waiting for the source, and asks for others',
    async ({ limit, cells }) => {
      const bench = await openBench({ purposes: { [PURPOSE]: { pool: { validKeys: 6 }, key: limit } } });
      for (let i = 0; i < cells; i++) sealPans(bench, ['4111']);
      thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
      bench.source.choose = (purpose) => bench.source.keys(purpose).slice(3);
      await bench.clock.advance(1_000);
      thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
      await settle();
      sealPans(bench, ['4111']);
    },
  );

  it('knows a key at its limit again that has left the pool meanwhile, until it has retired', async () => {
    const purposes = {
      [PURPOSE]: { pool: { validKeys: 2, handOut: 1 }, key: { maxCells: 5, sealFor: '10h' } },
    } as const;
    const bench = await openBench({ purposes });
    const [spent, other] = bench.source.keys(PURPOSE);
    for (let i = 0; i < 5; i++) sealPans(bench, ['4111']);
    bench.source.choose = () => [other!];
    await bench.clock.advance(HOUR);
    bench.source.choose = () => [spent!];
    await bench.clock.advance(HOUR);
    expect(events(bench, 'refresh-failed').at(-1)!.error.code).toBe('ERR_POOL_EMPTY');
    expect(lastHandOut(bench)!.exhausted).toEqual([spent]);
    expect(sealPans(bench, ['4111']).fingerprints).toEqual([other]);
    bench.source.choose = () => [other!];
    await bench.clock.advance(10 * HOUR);
    expect(lastHandOut(bench)!.exhausted).toEqual([]);
  });

  it('waits for other keys where its own are at their limits, one request for all who wait', async () => {
    const purposes = { [PURPOSE]: { pool: { validKeys: 6, handOut: 3 }, key: { maxCells: 1 } } };
    const bench = await openBench({ purposes });
    for (let i = 0; i < 3; i++) sealPans(bench, ['4111']);
    bench.source.choose = (purpose) => bench.source.keys(purpose).slice(3);
    const rows = [{ column: bench.pan, values: ['4111'] }];
    await Promise.all([bench.seal.prepare(rows), bench.seal.prepare(rows), bench.seal.prepare(rows)]);
    expect(bench.source.count('handOut')).toBe(2);
    for (let i = 0; i < 3; i++) sealPans(bench, ['4111']);
  });

  it('does not call a source without end that hands out exhausted keys', async () => {
    const bench = await openBench({ purposes: { [PURPOSE]: { key: { maxCells: 1 } } } });
    for (let i = 0; i < 3; i++) sealPans(bench, ['4111']);
    for (let i = 0; i < 1_000; i++) thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
    await settle();
    for (let i = 0; i < 1_000; i++) thrown(() => sealPans(bench, ['4111']), 'ERR_POOL_EMPTY');
    expect(bench.source.count('handOut')).toBeLessThanOrEqual(2);
  });
});

it('an operation that hangs at start is told after a minute', async () => {
  const source = new MemorySource();
  const fakeClock = new FakeClock();
  source.fault('start', hang);
  const opening = rejection(openBench({ source, fakeClock }), 'ERR_KEY_UNAVAILABLE');
  await settle();
  await fakeClock.advance(MINUTE);
  expect((await opening).message).toContain('60 s');
  expect(source.count('close')).toBe(1);
});

function isWiped(root: Buffer): boolean {
  return root.every((byte) => byte === 0);
}
