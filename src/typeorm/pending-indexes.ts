/**
 * Blind indexes that the KMS makes stand in statements as objects; here they are made, before the statement goes to the
 * database. TypeORM makes its SQL without waiting, but every statement waits for its query runner.
 */
import { isPendingIndex, type PendingIndex } from '../keys/field-seal.js';
import { settleWhole } from '../keys/parallel.js';
import { override, surround, type DataSourceInternals, type RunnerInternals } from './internals.js';
import { inSameTransaction } from './transaction-end.js';

/** Query runners of this data source, those made while there are such indexes, send none that is still to be made. */
export function makeIndexesFirst(dataSource: DataSourceInternals, areThere: () => boolean): void {
  // SQLite has one query runner, which is given out again and again.
  const known = new WeakSet<RunnerInternals>();
  surround(dataSource, 'createQueryRunner', (createQueryRunner) => (...args) => {
    const runner = createQueryRunner(...args);
    if (!areThere() || known.has(runner)) return runner;
    makeIndexesOf(runner);
    known.add(runner);
    return runner;
  });
}

function makeIndexesOf(runner: RunnerInternals): void {
  for (const method of ['query', 'stream'] as const) {
    const send = runner[method].bind(runner);
    override(runner, method, (...args) => {
      const [sql, parameters, ...more] = args;
      // TypeORM takes an object of named parameters too, for databases that know them.
      if (!Array.isArray(parameters) || !parameters.some(isPendingIndex)) return send(...args);
      const assertSame = inSameTransaction(runner);
      return madeIn(parameters).then((made) => {
        assertSame();
        return send(sql, made, ...more);
      });
    });
  }
}

/**
 * The parameters with the bytes of all indexes. One KMS call for each, eight at a time, and none after one has failed.
 * @throws what the first one throws that cannot be made; KmsError, KeyError, ConfigError.
 */
export async function madeIn(parameters: readonly unknown[]): Promise<unknown[]> {
  const pending = [...new Set(parameters.filter(isPendingIndex))];
  const settled = await settleWhole(pending, (index) => index.make());
  for (const one of settled) if (one.status === 'rejected') throw one.reason;
  return parameters.map((parameter) => (isPendingIndex(parameter) ? bytesOf(parameter) : parameter));
}

function bytesOf({ bytes }: PendingIndex): Buffer {
  return bytes!;
}
