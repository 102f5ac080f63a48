/** Envelope delivery: each record, or each window, under a data key of its own that its cells carry. */
import { describe, expect, it, vi } from 'vitest';
import { DataKey } from '../../src/cell/data-key.js';
import { parseCell } from '../../src/cell/format.js';
import { KmsError } from '../../src/errors.js';
import type { FieldColumn, PreparedKeys, SealedColumn } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { settle } from './fake-clock.js';
import { fail, gate, hang } from './memory-source.js';
import { HOUR, MINUTE, openBench, PURPOSE, rejection, thrown, type Bench } from './seal-fixture.js';

const PAN = '4111111111111111';
const HOLDER = 'Ada Lovelace';

interface EnvelopeBench extends Bench {
  readonly holder: FieldColumn;
}

async function bench(
  delivery: PurposeOptions['delivery'] = 'envelope',
  purpose: PurposeOptions = {},
): Promise<EnvelopeBench> {
  const opened = await openBench({ purposes: { [PURPOSE]: { ...purpose, delivery } } });
  const holder = opened.seal.column({ purpose: PURPOSE, entity: 'cards', field: 'holder', codec: 'string' });
  return { ...opened, holder };
}

/** The rows of one statement, sealed as an ORM does it. */
async function sealAll(
  { seal, pan, holder }: EnvelopeBench,
  pans: readonly unknown[],
  holders: readonly unknown[] = [],
): Promise<readonly SealedColumn[]> {
  const rows = [
    { column: pan, values: pans },
    ...(holders.length > 0 ? [{ column: holder, values: holders }] : []),
  ];
  const prepared = await seal.prepare(rows);
  try {
    return seal.sealRows(rows, prepared);
  } finally {
    prepared.close();
  }
}

const openAll = async ({ seal, pan }: Bench, cells: readonly (Uint8Array | null)[]) =>
  (await seal.openPage([{ column: pan, cells }]))[0]!;

/** The same cell with another wrap in its header. */
function withWrap(cell: Buffer, wrapped: Uint8Array): Buffer {
  const copy = Buffer.from(cell);
  copy.set(wrapped, 28);
  return copy;
}

describe('envelope delivery', () => {
  it('gives each record a data key of its own, which all its fields share', async () => {
    const envelope = await bench();
    const [pans, holders] = await sealAll(envelope, [PAN, PAN, null], [HOLDER, null, null]);
    expect(envelope.source.count('makeEnvelopeKey')).toBe(2);
    expect(pans!.fingerprints[0]).toBe(holders!.fingerprints[0]);
    expect(new Set([...pans!.fingerprints, ...holders!.fingerprints])).toHaveLength(3); // two keys and null
    const { header } = parseCell(pans!.cells[0]!);
    expect(header).toEqual(parseCell(holders!.cells[0]!).header);
    expect(header.delivery).toBe('envelope');
  });

  it('has no pool, and asks no key store for anything to seal or open', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN]);
    expect((await openAll(envelope, pans!.cells)).values).toEqual([PAN]);
    expect([envelope.source.count('handOut'), envelope.source.count('load')]).toEqual([0, 0]);
    expect(envelope.seal.stats()).toMatchObject({ pools: {}, cellsSealed: 1, cellsOpened: 1, unwraps: 1 });
  });

  it('wipes every root, whether it was sealed with or opened with', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN, PAN]);
    await openAll(envelope, pans!.cells);
    const { lent } = envelope.source;
    expect(lent.length).toBeGreaterThanOrEqual(4);
    expect(lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
  });

  it('asks for nothing where no row has a value', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [null, undefined]);
    expect(pans!.cells).toEqual([null, null]);
    expect(envelope.source.count('makeEnvelopeKey')).toBe(0);
  });

  it('seals nothing that was not prepared', async () => {
    const { seal, pan } = await bench();
    const rows = [{ column: pan, values: [PAN] }];
    thrown(() => seal.sealRows(rows), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => seal.sealRows(rows, { close: () => undefined }), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN), 'ERR_SEAL_NOT_PREPARED');
    const prepared = await seal.prepare([{ column: pan, values: [null] }]);
    thrown(() => seal.sealRows(rows, prepared), 'ERR_SEAL_NOT_PREPARED');
    const used = await seal.prepare(rows);
    used.close();
    used.close();
    thrown(() => seal.sealRows(rows, used), 'ERR_SEAL_NOT_PREPARED');
  });

  it('leaves no key of a statement behind when its keys are closed, however many they were', async () => {
    const { seal, pan } = await bench();
    const prepared = await seal.prepare([{ column: pan, values: Array<string>(500).fill(PAN) }]);
    const close = vi.spyOn(DataKey.prototype, 'close');
    prepared.close();
    const keys = new Set(close.mock.contexts as DataKey[]);
    close.mockRestore();
    expect(keys.size).toBe(500);
    expect([...keys].every(({ closed }) => closed)).toBe(true);
  });

  it('seals single values by sealAsync', async () => {
    const { seal } = await bench();
    const cell = await seal.sealAsync(PURPOSE, 'cards.pan', PAN, { bind: { id: 7 } });
    expect(await seal.open(PURPOSE, 'cards.pan', cell, { bind: { id: 7 } })).toBe(PAN);
    await rejection(seal.open(PURPOSE, 'cards.pan', cell, { bind: { id: 8 } }), 'ERR_OPEN_FAILED');
    await rejection(seal.sealAsync(PURPOSE, 'cards.pan', null), 'ERR_SEAL_TYPE');
  });

  it.each([
    ['a KMS that is down', new KmsError('ERR_KMS_UNAVAILABLE', 'down'), 'ERR_KMS_UNAVAILABLE'],
    ['a KMS that denies', new KmsError('ERR_KMS_DENIED', 'denied'), 'ERR_KMS_DENIED'],
    ['an error that is not coded', new TypeError('secret'), 'ERR_KEY_UNAVAILABLE'],
  ] as const)('fails at once with %s, keeps no key and seals nothing', async (_, error, code) => {
    const envelope = await bench();
    let calls = 0;
    envelope.source.fault('makeEnvelopeKey', async () => {
      calls += 1;
      if (calls === 3) await fail(error)(undefined as never);
    });
    const failure = await rejection(sealAll(envelope, [PAN, PAN, PAN, PAN]), code);
    expect(failure.message).not.toContain('secret');
    expect(envelope.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    expect(envelope.seal.stats().cellsSealed).toBe(0);
  });

  it('gives up on a KMS that hangs after a minute, however many rows wait for it', async () => {
    const envelope = await bench();
    envelope.source.fault('makeEnvelopeKey', hang);
    const sealing = rejection(sealAll(envelope, Array<string>(100).fill(PAN)), 'ERR_KEY_UNAVAILABLE');
    await settle();
    await envelope.clock.advance(MINUTE);
    await sealing;
    expect(envelope.source.count('makeEnvelopeKey')).toBe(8);
  });

  it('has no more than eight calls under way for one statement', async () => {
    const envelope = await bench();
    let [running, most] = [0, 0];
    envelope.source.fault('makeEnvelopeKey', async () => {
      most = Math.max(most, ++running);
      await settle();
      running -= 1;
    });
    await sealAll(envelope, Array<string>(40).fill(PAN));
    expect(most).toBe(8);
  });

  it('is refused after close, and a key that comes then is wiped', async () => {
    const envelope = await bench();
    const slow = gate();
    envelope.source.fault('makeEnvelopeKey', slow.fault);
    const sealing = rejection(sealAll(envelope, [PAN]), 'ERR_CLOSED');
    await settle();
    const closing = envelope.seal.close();
    slow.open();
    await Promise.all([sealing, closing]);
    expect(envelope.source.lent.every((root) => root.every((byte) => byte === 0))).toBe(true);
    await rejection(envelope.seal.prepare([{ column: envelope.pan, values: [PAN] }]), 'ERR_CLOSED');
  });
});

describe('a reuse window', () => {
  const reuse = { envelope: { reuse: { cells: 10, for: '5m' } } } as const;
  const keysOf = ([pans]: readonly SealedColumn[]) => new Set(pans!.fingerprints);

  it('seals so many cells under one key, then takes another', async () => {
    const envelope = await bench(reuse);
    expect(keysOf(await sealAll(envelope, Array<string>(25).fill(PAN)))).toHaveLength(3);
    expect(envelope.source.count('makeEnvelopeKey')).toBe(3);
    expect(keysOf(await sealAll(envelope, Array<string>(5).fill(PAN)))).toHaveLength(1);
    expect(envelope.source.count('makeEnvelopeKey')).toBe(3);
  });

  it('keeps the cells of a record under one key', async () => {
    const envelope = await bench({ envelope: { reuse: { cells: 3, for: '5m' } } });
    const [pans, holders] = await sealAll(envelope, [PAN, PAN, PAN], [HOLDER, HOLDER, HOLDER]);
    expect(pans!.fingerprints).toEqual(holders!.fingerprints);
    expect(new Set(pans!.fingerprints)).toHaveLength(3);
  });

  it.each(['wall', 'monotonic'] as const)('ends with its time by the %s clock', async (which) => {
    const envelope = await bench(reuse);
    const before = await sealAll(envelope, [PAN]);
    if (which === 'wall') envelope.clock.setWallBy(5 * MINUTE);
    else await envelope.clock.advance(5 * MINUTE);
    const after = await sealAll(envelope, [PAN]);
    expect(keysOf(after)).not.toEqual(keysOf(before));
  });

  it('drops its key when its time is up, although nobody asks', async () => {
    const envelope = await bench(reuse);
    const rows = [{ column: envelope.pan, values: [PAN] }];
    (await envelope.seal.prepare(rows)).close();
    const prepared = await envelope.seal.prepare(rows);
    await envelope.clock.advance(5 * MINUTE);
    // A statement that is on its way may end.
    expect(envelope.seal.sealRows(rows, prepared)[0]!.cells[0]).not.toBeNull();
    prepared.close();
    thrown(() => envelope.seal.sealRows(rows, prepared), 'ERR_SEAL_NOT_PREPARED');
    await envelope.seal.prepare(rows);
    expect(envelope.source.count('makeEnvelopeKey')).toBe(2);
  });

  it('is shared by statements at the same time', async () => {
    const envelope = await bench({ envelope: { reuse: { cells: 1_000, for: '5m' } } });
    await Promise.all(Array.from({ length: 20 }, () => sealAll(envelope, Array<string>(10).fill(PAN))));
    expect(envelope.source.count('makeEnvelopeKey')).toBe(1);
  });

  it('goes on after a call that failed', async () => {
    const envelope = await bench(reuse);
    envelope.source.fault('makeEnvelopeKey', fail(new KmsError('ERR_KMS_THROTTLED', 'slow down')));
    await rejection(sealAll(envelope, [PAN]), 'ERR_KMS_THROTTLED');
    envelope.source.fault('makeEnvelopeKey', undefined);
    expect(keysOf(await sealAll(envelope, [PAN]))).toHaveLength(1);
  });
});

describe('opening envelope cells', () => {
  it('unwraps each key once, however many cells and pages wait for it', async () => {
    const envelope = await bench({ envelope: { reuse: { cells: 100, for: '5m' } } });
    const [pans] = await sealAll(envelope, Array<string>(100).fill(PAN));
    const pages = await Promise.all(Array.from({ length: 20 }, () => openAll(envelope, pans!.cells)));
    for (const { values } of pages) expect(new Set(values)).toEqual(new Set([PAN]));
    expect(envelope.source.count('openEnvelopeKey')).toBe(1);
    await openAll(envelope, pans!.cells);
    expect(envelope.source.count('openEnvelopeKey')).toBe(1);
  });

  it('asks again when the time in the cache is over', async () => {
    const envelope = await bench('envelope', { key: { openCache: '1h' } });
    const [pans] = await sealAll(envelope, [PAN]);
    await openAll(envelope, pans!.cells);
    await envelope.clock.advance(HOUR);
    expect(envelope.seal.stats().keyringSize).toBe(0);
    expect((await openAll(envelope, pans!.cells)).values).toEqual([PAN]);
    expect(envelope.source.count('openEnvelopeKey')).toBe(2);
  });

  it('refuses a wrap that was changed, opens the rows beside it, and does not ask for it again', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN, PAN]);
    const forged = withWrap(pans!.cells[0]!, Buffer.alloc(184, 1));
    const { values, failures } = await openAll(envelope, [forged, pans!.cells[1]!, pans!.cells[0]!]);
    expect(values).toEqual([undefined, PAN, PAN]);
    expect(failures!.get(0)!.code).toBe('ERR_KMS_WRAP_REFUSED');
  });

  it('does not ask again for a wrap that was refused', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN]);
    const forged = [withWrap(pans!.cells[0]!, Buffer.alloc(184, 2))];
    for (let i = 0; i < 3; i++) {
      const { failures } = await openAll(envelope, forged);
      expect(failures!.get(0)!.code).toBe('ERR_KMS_WRAP_REFUSED');
    }
    expect(envelope.source.count('openEnvelopeKey')).toBe(1);
  });

  it('opens a cell whose key is here, whatever its wrap says: rewrapping replaces it in place', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN]);
    await openAll(envelope, pans!.cells);
    expect((await openAll(envelope, [withWrap(pans!.cells[0]!, Buffer.alloc(184))])).values).toEqual([PAN]);
  });

  it('refuses the genuine wrap of another key, with an alarm', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN, PAN]);
    const [first, second] = pans!.cells;
    const { header } = parseCell(second!);
    const swapped = withWrap(first!, header.delivery === 'envelope' ? header.wrapped : Buffer.alloc(0));
    const { failures } = await openAll(envelope, [swapped]);
    expect(failures!.get(0)!.code).toBe('ERR_KEY_COMMITMENT');
    expect(envelope.events).toContainEqual(
      expect.objectContaining({ type: 'alarm', code: 'ERR_KEY_COMMITMENT' }),
    );
  });

  it('remembers no trouble that passes', async () => {
    const envelope = await bench();
    const [pans] = await sealAll(envelope, [PAN]);
    const down = new KmsError('ERR_KMS_UNAVAILABLE', 'down');
    envelope.source.fault('openEnvelopeKey', fail(down));
    const { failures } = await openAll(envelope, pans!.cells);
    expect(failures!.get(0)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true, cause: down });
    envelope.source.fault('openEnvelopeKey', undefined);
    expect((await openAll(envelope, pans!.cells)).values).toEqual([PAN]);
  });

  it('has so many keys unwrapped for one page and no more, and says how to read the rest', async () => {
    const envelope = await bench({ envelope: { unwrapsPerPage: 3 } });
    const [pans] = await sealAll(envelope, Array<string>(5).fill(PAN));
    const { values, failures } = await openAll(envelope, pans!.cells);
    expect(values).toEqual([PAN, PAN, PAN, undefined, undefined]);
    expect(failures!.get(4)).toMatchObject({ code: 'ERR_KEY_UNAVAILABLE', retryable: true });
    expect(failures!.get(4)!.message).toContain('unwrapsPerPage');
    expect((await openAll(envelope, pans!.cells)).values).toEqual(Array<string>(5).fill(PAN));
  });

  it('fetches no key for cells of a delivery that the purpose does not accept', async () => {
    const [envelope, pool] = [await bench(), await openBench()];
    const [pans] = await sealAll(envelope, [PAN]);
    const { failures } = await openAll(pool, pans!.cells);
    expect(failures!.get(0)!.code).toBe('ERR_FORMAT_NOT_ACCEPTED');
    expect(pool.source.count('openEnvelopeKey')).toBe(0);
    const cell = pool.seal.seal(PURPOSE, 'cards.pan', PAN);
    expect((await openAll(envelope, [cell])).failures!.get(0)!.code).toBe('ERR_FORMAT_NOT_ACCEPTED');
    expect(envelope.source.count('load')).toBe(0);
  });

  it('reads cells of both deliveries where the purpose accepts both', async () => {
    const both = { accept: { deliveries: ['pool', 'envelope'] } } as const;
    const envelope = await bench('envelope', both);
    const [fingerprint] = envelope.source.addKeys(PURPOSE, 1);
    const pool = await openBench({ source: envelope.source });
    pool.source.choose = () => [fingerprint!];
    const [pans] = await sealAll(envelope, [PAN]);
    const cell = pool.seal.seal(PURPOSE, 'cards.pan', PAN);
    expect((await openAll(envelope, [pans!.cells[0]!, cell])).values).toEqual([PAN, PAN]);
  });

  it('keeps keys in use of a page that has more of them than the keyring holds', async () => {
    const envelope = await openBench({
      purposes: { [PURPOSE]: { delivery: 'envelope' } },
      keyring: { max: 2 },
    });
    const rows = [{ column: envelope.pan, values: Array<string>(20).fill(PAN) }];
    const prepared: PreparedKeys = await envelope.seal.prepare(rows);
    const [pans] = envelope.seal.sealRows(rows, prepared);
    prepared.close();
    expect((await openAll(envelope, pans!.cells)).values).toEqual(Array<string>(20).fill(PAN));
    expect(envelope.seal.stats().keyringSize).toBe(2);
  });

  it('shows neither keys nor values in what it prints', async () => {
    const envelope = await bench();
    const prepared = await envelope.seal.prepare([{ column: envelope.pan, values: [PAN] }]);
    expect(JSON.stringify([prepared, envelope.seal])).not.toContain(PAN);
    prepared.close();
  });
});
