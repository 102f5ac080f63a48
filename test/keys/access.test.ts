/** What a field seal may do: processes that only write or only read, and views of one that does both. */
import { describe, expect, it } from 'vitest';
import type { FieldSeal } from '../../src/keys/create-field-seal.js';
import { KmsError } from '../../src/errors.js';
import { fail, MemorySource } from './memory-source.js';
import { openBench, PURPOSE, rejection, thrown, type BenchOptions } from './seal-fixture.js';

const PAN = '4111111111111111';
const ENVELOPE = { purposes: { [PURPOSE]: { delivery: 'envelope' } } } as const;
const LATER = { purposes: { [PURPOSE]: { delivery: 'envelope', index: 'later' } } } as const;
const DECRYPT = {
  kek: 'arn:aws:kms:eu-central-1:111122223333:key/a',
  operation: 'Decrypt',
  answer: 'allowed',
} as const;

const bench = (options: BenchOptions = {}) => openBench({ ...ENVELOPE, ...options });
const sealOne = (seal: FieldSeal) => seal.sealAsync(PURPOSE, 'cards.pan', PAN);

/** Everything that needs a key for opening. */
async function expectWritesOnly(seal: FieldSeal): Promise<void> {
  const cell = await sealOne(seal);
  const column = seal.column({ purpose: PURPOSE, entity: 'cards', field: 'pan', codec: 'string' });
  expect(seal.access).toBe('write-only');
  await rejection(seal.open(PURPOSE, 'cards.pan', cell), 'ERR_OPEN_WRITE_ONLY');
  thrown(() => seal.openPage([{ column, cells: [cell] }]), 'ERR_OPEN_WRITE_ONLY');
  thrown(() => seal.readOnly(), 'ERR_OPEN_WRITE_ONLY');
}

describe('a write-only process', () => {
  it('seals and opens nothing, and its source is asked for no key to open or to index with', async () => {
    const { seal, source } = await bench({ access: 'write-only' });
    await expectWritesOnly(seal);
    expect(new Set(source.calls.map(({ operation }) => operation))).toEqual(
      new Set(['start', 'notDenied', 'makeEnvelopeKey']),
    );
    expect(source.context.access).toBe('write-only');
  });

  it('with public keys is asked for no key to open or to index with either', async () => {
    const { seal, source } = await bench({
      access: 'write-only',
      purposes: { [PURPOSE]: { delivery: 'sealed' } },
    });
    await expectWritesOnly(seal);
    expect(new Set(source.calls.map(({ operation }) => operation))).toEqual(
      new Set(['start', 'notDenied', 'publicKeys']),
    );
    expect(source.lent).toEqual([]);
  });

  it('takes no purpose of pool delivery, and asks nobody before it says so', async () => {
    const source = new MemorySource();
    const error = await rejection(
      openBench({ source, access: 'write-only', purposes: { [PURPOSE]: {} } }),
      'ERR_CONFIG_POOL_NOT_WRITE_ONLY',
    );
    expect(error.message).toContain(`purposes.${PURPOSE}.delivery`);
    expect(source.calls).toEqual([]);
  });

  it('does not start where the KMS would let it open what it seals', async () => {
    const source = new MemorySource();
    source.privileges = [DECRYPT];
    const error = await rejection(bench({ source, access: 'write-only' }), 'ERR_KMS_TOO_MUCH_PRIVILEGE');
    expect(error.message).toContain('Decrypt');
    expect(source.count('close')).toBe(1);
  });

  it('starts with an alarm where that is to be warned of, and without a question where nobody is to ask', async () => {
    const source = new MemorySource();
    source.privileges = [DECRYPT];
    const warned = await bench({ source, access: 'write-only', privilegeCheck: 'warn' });
    expect(warned.events).toContainEqual(
      expect.objectContaining({ type: 'alarm', code: 'ERR_KMS_TOO_MUCH_PRIVILEGE' }),
    );
    const off = await bench({ access: 'write-only', privilegeCheck: 'off' });
    expect(off.source.count('notDenied')).toBe(0);
  });

  it('does not start when the question itself fails', async () => {
    const source = new MemorySource();
    source.fault('notDenied', fail(new KmsError('ERR_KMS_TIMEOUT', 'no answer')));
    await rejection(bench({ source, access: 'write-only' }), 'ERR_KMS_TIMEOUT');
  });

  it('refuses a blind index that would be made here, since its key guesses values', async () => {
    const { seal } = await bench({ access: 'write-only' });
    const column = {
      purpose: PURPOSE,
      entity: 'cards',
      field: 'hash',
      codec: 'string',
      blindIndex: {},
    } as const;
    thrown(() => seal.column(column), 'ERR_CONFIG_INDEX_NOT_WRITE_ONLY');
  });

  it('leaves indexes that come later unset, and cannot search by them', async () => {
    const { seal } = await openBench({ ...LATER, access: 'write-only' });
    const column = seal.column({
      ...{ purpose: PURPOSE, entity: 'cards', field: 'hash', codec: 'string', blindIndex: { later: true } },
    } as const);
    const rows = [{ column, values: [PAN, null] }];
    const prepared = await seal.prepare(rows);
    expect(seal.sealRows(rows, prepared)[0]!.indexes).toEqual([null, null]);
    thrown(() => seal.searchIndexes(column, PAN), 'ERR_QUERY_NO_BLIND_INDEX');
  });
});

describe('a read-only process', () => {
  it('opens and seals nothing; no pool is warmed', async () => {
    const { seal: writer, source } = await bench();
    const cell = await sealOne(writer);
    const { seal } = await openBench({ ...ENVELOPE, source, access: 'read-only' });
    expect(await seal.open(PURPOSE, 'cards.pan', cell)).toBe(PAN);
    await rejection(sealOne(seal), 'ERR_SEAL_READ_ONLY');
    thrown(() => seal.seal(PURPOSE, 'cards.pan', PAN), 'ERR_SEAL_READ_ONLY');
    thrown(() => seal.writeOnly(), 'ERR_SEAL_READ_ONLY');
    const pooled = await openBench({ access: 'read-only' });
    expect(pooled.source.count('handOut')).toBe(0);
    expect(pooled.seal.stats().pools).toEqual({});
  });

  it('takes part in statements that seal nothing', async () => {
    const { seal } = await bench({ access: 'read-only' });
    const column = seal.column({ purpose: PURPOSE, entity: 'cards', field: 'pan', codec: 'string' });
    const rows = [{ column, values: [undefined, null] }];
    expect(seal.sealRows(rows, await seal.prepare(rows))[0]!.cells).toEqual([null, null]);
    const sealing = [{ column, values: [undefined, PAN] }];
    await rejection(seal.prepare(sealing), 'ERR_SEAL_READ_ONLY');
    thrown(() => seal.sealRows(sealing), 'ERR_SEAL_READ_ONLY');
  });

  it('writes indexes of its own where they may come later and a process reads and writes', async () => {
    const { seal } = await openBench(LATER);
    const column = seal.column({
      ...{ purpose: PURPOSE, entity: 'cards', field: 'hash', codec: 'string', blindIndex: { later: true } },
    } as const);
    const rows = [{ column, values: [PAN] }];
    const prepared = await seal.prepare(rows);
    const [index] = seal.sealRows(rows, prepared)[0]!.indexes!;
    expect(seal.searchIndexes(column, PAN)).toEqual([index]);
  });
});

describe('views', () => {
  it('of a field seal that does both only write, or only read', async () => {
    const { seal } = await bench();
    await expectWritesOnly(seal.writeOnly());
    const readOnly = seal.readOnly();
    expect(readOnly.access).toBe('read-only');
    expect(await readOnly.open(PURPOSE, 'cards.pan', await sealOne(seal.writeOnly()))).toBe(PAN);
    await rejection(sealOne(readOnly), 'ERR_SEAL_READ_ONLY');
    expect(seal.stats()).toMatchObject({ cellsSealed: 2, cellsOpened: 1 });
  });

  it('of a purpose with public keys only write, or only read', async () => {
    const { seal } = await bench({ purposes: { [PURPOSE]: { delivery: 'sealed' } } });
    await expectWritesOnly(seal.writeOnly());
    expect(await seal.readOnly().open(PURPOSE, 'cards.pan', await sealOne(seal))).toBe(PAN);
  });

  it('of pools do not exist for writing', async () => {
    const { seal } = await openBench();
    thrown(() => seal.writeOnly(), 'ERR_CONFIG_POOL_NOT_WRITE_ONLY');
  });

  it('refuse a local index for writing, whatever the process itself may have', async () => {
    const { seal } = await bench({ purposes: { [PURPOSE]: { delivery: 'envelope', index: 'local' } } });
    const column = {
      purpose: PURPOSE,
      entity: 'cards',
      field: 'hash',
      codec: 'string',
      blindIndex: {},
    } as const;
    seal.column(column);
    thrown(() => seal.writeOnly().column(column), 'ERR_CONFIG_INDEX_NOT_WRITE_ONLY');
  });

  it('are closed together', async () => {
    const { seal } = await bench();
    const view = seal.writeOnly();
    await seal.close();
    await rejection(sealOne(view), 'ERR_CLOSED');
  });
});
