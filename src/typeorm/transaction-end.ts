/**
 * A statement that waits before it is sent, for keys, indexes or rows, may come too late: when another one of the same
 * `save()` fails, TypeORM rolls back and waits for nobody. Sent after that it would stand for itself, and stay.
 */
import { QueryError } from '../errors.js';
import { override } from './internals.js';

/** What is looked at of a query runner. */
export interface TransactionRunner {
  readonly isTransactionActive: boolean;
  commitTransaction(): Promise<void>;
  rollbackTransaction(): Promise<void>;
}

/** How many transactions of a query runner have ended, or begun to, savepoints included. */
const ends = new WeakMap<TransactionRunner, number>();

/**
 * To be called where a statement begins to wait; what it gives, before it is sent.
 * @param runner The one that the statement was given; none where it has one of its own.
 */
export function inSameTransaction(runner: TransactionRunner | undefined): () => void {
  if (runner?.isTransactionActive !== true) return () => undefined;
  const before = endsOf(runner);
  return () => {
    if (endsOf(runner) !== before) throw tooLate();
  };
}

/** Counted from the first question on: most query runners are never asked about. */
function endsOf(runner: TransactionRunner): number {
  const counted = ends.get(runner);
  if (counted !== undefined) return counted;
  ends.set(runner, 0);
  for (const method of ['commitTransaction', 'rollbackTransaction'] as const) {
    const end = runner[method].bind(runner);
    override(runner, method, (...args) => {
      ends.set(runner, endsOf(runner) + 1);
      return end(...args);
    });
  }
  return 0;
}

function tooLate(): QueryError {
  return new QueryError(
    'ERR_QUERY_TRANSACTION_ENDED',
    'The transaction of a statement ended while the statement waited for its keys, indexes or rows; nothing of it was sent. ' +
      'Another statement of the same save failed, or the transaction was ended before this one was awaited.',
  );
}
