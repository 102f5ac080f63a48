/** Query runners of an attached data source: what stands in a statement for something else is looked for before it is sent. */
import { isError } from '../errors.js';
import { surround, type DataSourceInternals, type RunnerInternals } from './internals.js';
import { withIndexesMade } from './pending-indexes.js';
import { refuseStandIns } from './stand-in.js';

type Send = RunnerInternals['query'];

/**
 * Guards every query runner that the data source makes from now on. Each statement may have one of its own, so a runner is
 * given another prototype, which is one assignment.
 *
 * @param areIndexesMade Whether blind indexes of this data source may have to be made before a statement is sent.
 */
export function guardQueryRunners(dataSource: DataSourceInternals, areIndexesMade: () => boolean): void {
  /** Those of TypeORM and our own, by themselves: SQLite has one query runner, which is given out again and again. */
  const guarded = new Map<object, object>();
  surround(dataSource, 'createQueryRunner', (createQueryRunner) => (...args) => {
    const runner = createQueryRunner(...args);
    const prototype = Object.getPrototypeOf(runner) as RunnerInternals;
    const ours = guarded.get(prototype) ?? guardedFrom(prototype);
    if (ours !== prototype) Object.setPrototypeOf(runner, ours);
    return runner;
  });

  function guardedFrom(plain: RunnerInternals): object {
    const methods: Pick<RunnerInternals, 'query' | 'stream'> & ThisType<RunnerInternals> = {
      query(...args) {
        return guard(this, args, (...all) => plain.query.apply(this, all));
      },
      stream(...args) {
        return guard(this, args, (...all) => plain.stream.apply(this, all));
      },
    };
    const ours: object = methods;
    Object.setPrototypeOf(ours, plain);
    guarded.set(plain, ours).set(ours, ours);
    return ours;
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
