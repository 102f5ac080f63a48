/** Blind indexes that the KMS makes: when it is asked, for what, and what stands in a statement until then. */
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../src/errors.js';
import { isPendingIndex, type IndexValue, type PendingIndex } from '../../src/keys/field-seal.js';
import type { PurposeOptions } from '../../src/keys/policy.js';
import { fail, MemorySource } from './memory-source.js';
import { openBench, PURPOSE, rejection, thrown, type BenchOptions } from './seal-fixture.js';

const PAN = '4111111111111111';
const DECLARATION = { purpose: PURPOSE, entity: 'cards', field: 'hash', codec: 'string' } as const;

const bench = ({
  index = 'kms',
  delivery = 'pool',
  ...options
}: BenchOptions & Pick<PurposeOptions, 'index' | 'delivery'> = {}) =>
  openBench({ purposes: { [PURPOSE]: { index, delivery } }, ...options });

const pending = (value: IndexValue | null | undefined): PendingIndex => {
  if (!isPendingIndex(value)) throw new Error('expected a pending index');
  return value;
};

/** As docs/cell-format.md has it: version, both names with their lengths, the value. */
const messageOf = (version: number, value: string): Buffer =>
  Buffer.concat([
    Buffer.of(version, 0, 0, 0, 5),
    Buffer.from('cards'),
    Buffer.of(0, 0, 0, 4),
    Buffer.from(`hash${value}`),
  ]);

describe('an index that the KMS makes', () => {
  it('is the start of an HMAC-SHA-256 of names and value, under a key that is not here', async () => {
    const { seal, source } = await bench();
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    const [sealed] = seal.sealRows([{ column, values: [PAN, null] }]);
    expect(sealed!.indexes![1]).toBeNull();
    const made = await pending(sealed!.indexes![0]).make();
    const key = source.macKeys.get(`${PURPOSE} 1`)!;
    const expected = createHmac('sha256', key).update(messageOf(1, PAN)).digest().subarray(0, 16);
    expect(made).toEqual(expected);
    expect(await pending(seal.searchIndexes(column, PAN)[0]).make()).toEqual(expected);
    expect(source.count('indexKeys')).toBe(0);
  });

  it('is made when it is asked for, once, and again after a failure', async () => {
    const { seal, source } = await bench();
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    const before = source.count('mac');
    const index = pending(seal.searchIndexes(column, PAN)[0]);
    expect(index.bytes).toBeUndefined();
    expect(source.count('mac')).toBe(before);
    source.fault('mac', fail(new KmsError('ERR_KMS_THROTTLED', 'slow down')));
    await rejection(index.make(), 'ERR_KMS_THROTTLED');
    source.fault('mac', () => Promise.resolve());
    const [one, other] = await Promise.all([index.make(), index.make()]);
    expect(one).toBe(other);
    expect(index.bytes).toBe(one);
    expect(source.count('mac')).toBe(before + 2);
  });

  it('knows those of an equal value, and no others', async () => {
    const { seal } = await bench({ index: { source: 'kms', versions: [2, 1] } });
    const normalize = (value: string): string => value.toLowerCase();
    const column = seal.column({ ...DECLARATION, blindIndex: { normalize } });
    const other = seal.column({ ...DECLARATION, field: 'other', blindIndex: {} });
    const [second, first] = seal.searchIndexes(column, 'Ada').map(pending);
    const [same] = seal.searchIndexes(column, 'ADA').map(pending);
    expect(second!.isSameAs(same!)).toBe(true);
    expect(second!.isSameAs(first!)).toBe(false);
    expect(second!.isSameAs(pending(seal.searchIndexes(column, 'Eve')[0]))).toBe(false);
    expect(second!.isSameAs(pending(seal.searchIndexes(other, 'ada')[0]))).toBe(false);
    expect(await first!.make()).not.toEqual(await second!.make());
  });

  it('shows nothing of its value, and lets no driver take it as it is', async () => {
    const { seal } = await bench();
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    const find = () => pending(seal.searchIndexes(column, PAN)[0]);
    const index = find();
    for (const shown of [
      inspect(index, { showHidden: true, depth: 9 }),
      JSON.stringify(index),
      inspect([index]),
    ]) {
      expect(shown).toContain('PendingIndex');
      expect(shown).not.toContain('4111');
      expect(shown).not.toContain(Buffer.from(PAN).toString('base64'));
    }
    // A cache that knows statements by their parameters must not take one value for another.
    expect(JSON.stringify(index)).toBe(JSON.stringify(index));
    expect(JSON.stringify(index)).not.toBe(JSON.stringify(find()));
    const driver = index as unknown as { toPostgres(): unknown; toSqlString(): unknown; toString(): string };
    thrown(() => driver.toPostgres(), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => driver.toSqlString(), 'ERR_SEAL_NOT_PREPARED');
    thrown(() => driver.toString(), 'ERR_SEAL_NOT_PREPARED');
    const bytes = await index.make();
    expect(JSON.stringify(index)).toBe(`"${bytes.toString('hex')}"`);
  });

  it('is refused for what is too long for the KMS', async () => {
    const { seal, source } = await bench();
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    const longest = 'a'.repeat(4_096 - messageOf(1, '').length);
    await pending(seal.searchIndexes(column, longest)[0]).make();
    const before = source.count('mac');
    thrown(() => seal.searchIndexes(column, `${longest}a`), 'ERR_SEAL_VALUE');
    thrown(() => seal.sealRows([{ column, values: [`${longest}a`] }]), 'ERR_SEAL_VALUE');
    expect(source.count('mac')).toBe(before);
  });

  it('is refused when the KMS gives something else', async () => {
    const { seal, source } = await bench();
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    source.mac = () => Promise.resolve(Buffer.alloc(16));
    await rejection(pending(seal.searchIndexes(column, PAN)[0]).make(), 'ERR_KMS_RESPONSE');
  });

  it('is searched as it was indexed under an older declaration too', async () => {
    const { seal } = await bench();
    const column = seal.column({
      ...DECLARATION,
      blindIndex: {},
      previously: { entity: 'people', field: 'hash' },
    });
    const before = seal.column({ ...DECLARATION, entity: 'people', blindIndex: {} });
    const [, old] = seal.searchIndexes(column, PAN).map(pending);
    expect(old!.isSameAs(pending(seal.searchIndexes(before, PAN)[0]))).toBe(true);
  });
});

describe('the right to have indexes made', () => {
  const webTier = { access: 'write-only', delivery: 'envelope' } as const;

  it('is proven at start for every version, by whoever only writes', async () => {
    const { source } = await bench({ ...webTier, index: { source: 'kms', versions: [2, 1] } });
    expect(source.count('mac')).toBe(2);
    const denied = new MemorySource();
    denied.fault('mac', fail(new KmsError('ERR_KMS_DENIED', 'no')));
    await rejection(bench({ ...webTier, source: denied }), 'ERR_KMS_DENIED');
    expect(denied.count('close')).toBe(1);
  });

  it.each(['read-only', 'read-write'] as const)('is not asked for at start with %s', async (access) => {
    const source = new MemorySource();
    source.fault('mac', fail(new KmsError('ERR_KMS_DENIED', 'no')));
    const { seal } = await bench({ source, access });
    const column = seal.column({ ...DECLARATION, blindIndex: {} });
    expect(source.count('mac')).toBe(0);
    await rejection(pending(seal.searchIndexes(column, PAN)[0]).make(), 'ERR_KMS_DENIED');
  });
});

it('a write-only process makes and searches them, and has no index key', async () => {
  const { seal, source } = await bench({ access: 'write-only', delivery: 'envelope' });
  const column = seal.column({ ...DECLARATION, blindIndex: {} });
  const rows = [{ column, values: [PAN] }];
  const [sealed] = seal.sealRows(rows, await seal.prepare(rows));
  expect(pending(sealed!.indexes![0]).isSameAs(pending(seal.searchIndexes(column, PAN)[0]))).toBe(true);
  expect(source.count('indexKeys')).toBe(0);
  expect(source.count('load')).toBe(0);
});
