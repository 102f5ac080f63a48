import { describe, expect, it } from 'vitest';
import type { FieldColumn, FieldDeclaration, PreviousDeclaration } from '../../src/keys/field-seal.js';
import { openBench, PURPOSE, thrown, type Bench } from './seal-fixture.js';

const OLD: FieldDeclaration = { purpose: PURPOSE, entity: 'people', field: 'age', codec: 'string' };
const NEW: FieldDeclaration = { ...OLD, codec: 'number' };

function declare(bench: Bench, previously: PreviousDeclaration, declaration = NEW): FieldColumn {
  return bench.seal.column({ ...declaration, previously });
}

/** A cell of a declaration that another process had. */
async function cellOf(
  bench: Bench,
  declaration: FieldDeclaration,
  value: unknown,
  binding?: Uint8Array,
): Promise<Buffer> {
  const old = await openBench({ source: bench.source });
  const column = old.seal.column(declaration);
  const [sealed] = old.seal.sealRows([{ column, values: [value], ...(binding && { bindings: [binding] }) }]);
  return sealed!.cells[0]!;
}

describe('a column that was declared otherwise before', () => {
  it('opens old and new cells of one page, and reports each row that fails by itself', async () => {
    const bench = await openBench();
    const column = declare(bench, { codec: 'string', convert: Number });
    const [sealed] = bench.seal.sealRows([{ column, values: [7] }]);
    const old = await cellOf(bench, OLD, '42');
    const broken = Buffer.from(old);
    broken[broken.length - 1]! ^= 1;
    const elsewhere = await cellOf(bench, { ...OLD, field: 'name' }, '42');
    const cells = [old, null, sealed!.cells[0]!, broken, elsewhere, Buffer.from('no cell')];
    const [opened] = await bench.seal.openPage([{ column, cells }]);
    expect(opened!.values).toEqual([42, null, 7, undefined, undefined, undefined]);
    const codes = [...opened!.failures!].map(([row, { code }]) => [row, code]);
    expect(codes.sort()).toEqual([
      [3, 'ERR_OPEN_FAILED'],
      [4, 'ERR_OPEN_FAILED'],
      [5, 'ERR_FORMAT_CELL'],
    ]);
    expect(bench.seal.stats()).toMatchObject({ cellsOpened: 2, openFailures: 3 });
  });

  it('reports no failures where all cells open in the end', async () => {
    const bench = await openBench();
    const column = declare(bench, { codec: 'string', convert: Number });
    const cells = [await cellOf(bench, OLD, '1'), await cellOf(bench, OLD, '2')];
    const [opened] = await bench.seal.openPage([{ column, cells }]);
    expect(opened).toEqual({ values: [1, 2], failures: undefined });
  });

  it('opens cells that were bound with the binding of that time only', async () => {
    const bench = await openBench();
    const column = declare(bench, { bound: true }, OLD);
    const binding = Buffer.from('row 7');
    const cells = [await cellOf(bench, { ...OLD, bound: true }, '42', binding)];
    const open = async (previousBindings?: (Uint8Array | undefined)[]) => {
      const page = [{ column, cells, ...(previousBindings && { previousBindings }) }];
      return (await bench.seal.openPage(page))[0]!;
    };
    expect((await open([binding])).values).toEqual(['42']);
    for (const other of [[Buffer.from('row 8')], [undefined], undefined])
      expect((await open(other)).failures?.get(0)).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  it('is told apart from one that was not', async () => {
    const bench = await openBench();
    const convert = Number;
    declare(bench, { codec: 'string', convert });
    expect(() => declare(bench, { codec: 'string', convert })).not.toThrow();
    const message = thrown(() => bench.seal.column(NEW), 'ERR_CONFIG_DUPLICATE_CONTEXT').message;
    expect(message).toContain('another previously');
  });

  it('is searched under the index values of both, and written under the present one', async () => {
    const bench = await openBench();
    const indexed: FieldDeclaration = { ...OLD, blindIndex: {} };
    const before = bench.seal.column({ ...indexed, entity: 'persons' });
    const column = declare(bench, { entity: 'persons' }, indexed);
    const [now] = bench.seal.sealRows([{ column, values: ['42'] }]);
    expect(bench.seal.searchIndexes(column, '42')).toEqual([
      now!.indexes![0],
      bench.seal.searchIndexes(before, '42')[0],
    ]);
  });

  it('does not quote a searched value on which revert throws', async () => {
    const bench = await openBench();
    const revert = (value: number) => {
      throw new Error(`cannot revert ${value}`);
    };
    const column = declare(bench, { codec: 'string', convert: Number, revert }, { ...NEW, blindIndex: {} });
    const error = thrown(() => bench.seal.searchIndexes(column, 271828), 'ERR_SEAL_VALUE');
    expect(error.message).not.toContain('271828');
    expect(error).not.toHaveProperty('cause');
  });
});
