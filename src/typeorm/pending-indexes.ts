/**
 * Blind indexes that the KMS makes stand in statements as objects; here they are made, before the statement goes to the
 * database. TypeORM makes its SQL without waiting, but every statement waits for its query runner.
 */
import { isPendingIndex, type PendingIndex } from '../keys/field-seal.js';
import { settleWhole } from '../keys/parallel.js';
import type { RunnerInternals } from './internals.js';
import { inSameTransaction } from './transaction-end.js';

/** Sends a statement with the bytes of all indexes in it; one without such indexes at once. */
export function withIndexesMade(
  runner: RunnerInternals,
  args: Parameters<RunnerInternals['query']>,
  send: RunnerInternals['query'],
): Promise<unknown> {
  const [sql, parameters, ...more] = args;
  // TypeORM takes an object of named parameters too, for databases that know them.
  if (!Array.isArray(parameters) || !parameters.some(isPendingIndex)) return send(...args);
  const assertSame = inSameTransaction(runner);
  return madeIn(parameters).then((made) => {
    assertSame();
    return send(sql, made, ...more);
  });
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
