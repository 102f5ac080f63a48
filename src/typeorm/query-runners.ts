/** Query runners of an attached data source: what stands in a statement for something else is looked for before it is sent. */
import { isError } from '../errors.js';
import { surround, type DataSourceInternals, type RunnerInternals } from './internals.js';
import { withIndexesMade } from './pending-indexes.js';
import { refuseStandIns } from './stand-in.js';

type Send = RunnerInternals['query'];
type Guarded = Pick<RunnerInternals, 'query' | 'stream'>;

/**
 * Guards every query runner that the data source makes from now on. Each statement may have one of its own, so those of one
 * class share their guarded methods; another prototype for each runner would cost a find by id a tenth of its time.
 *
 * @param areIndexesMade Whether blind indexes of this data source may have to be made before a statement is sent.
 */
export function guardQueryRunners(dataSource: DataSourceInternals, areIndexesMade: () => boolean): void {
  const byClass = new Map<object, Guarded>();
  const guardedAlone = new WeakSet<RunnerInternals>();
  surround(dataSource, 'createQueryRunner', (createQueryRunner) => (...args) => {
    const runner = createQueryRunner(...args);
    const plain = Object.getPrototypeOf(runner) as RunnerInternals;
    let guarded = byClass.get(plain);
    if (guarded === undefined) byClass.set(plain, (guarded = guardedFrom(plain)));
    // SQLite has one query runner, which is given out again and again; others may have a wrapper of somebody else.
    if (runner.query === guarded.query || guardedAlone.has(runner)) return runner;
    if (Object.hasOwn(runner, 'query') || Object.hasOwn(runner, 'stream')) {
      guardedAlone.add(runner);
      guarded = guardedFrom({ query: runner.query.bind(runner), stream: runner.stream.bind(runner) });
    }
    runner.query = guarded.query;
    runner.stream = guarded.stream;
    return runner;
  });

  /** Looks the methods up when they are called, since tools for tracing put others into the class at any time. */
  function guardedFrom(plain: Guarded): Guarded {
    return {
      query(this: RunnerInternals, ...args) {
        return guard(this, args, (...all) => plain.query.apply(this, all));
      },
      stream(this: RunnerInternals, ...args) {
        return guard(this, args, (...all) => plain.stream.apply(this, all));
      },
    };
  }

  function guard(runner: RunnerInternals, args: Parameters<Send>, send: Send): Promise<unknown> {
    try {
      refuseStandIns(args[1]);
    } catch (error) {
      if (!isError(error)) throw error;
      return Promise.reject(error);
    }
    return areIndexesMade() ? withIndexesMade(runner, args, send) : send(...args);
  }
}
