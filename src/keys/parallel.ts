/** Bounded parallelism for calls to the KMS. */

/** KMS calls that one piece of work has under way at a time; AWS throttles per account and second, not per call. */
const MAX_PARALLEL = 8;

/** Runs `task` for each item, at most eight at a time; like `Promise.allSettled`, in the order of the items. */
export async function settleAll<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
): Promise<PromiseSettledResult<Result>[]> {
  const results: PromiseSettledResult<Result>[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) {
      // From within a promise, so that a task that throws at once is an outcome as well.
      [results[i]] = await Promise.allSettled([Promise.resolve(item).then(task)]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, items.length) }, worker));
  return results;
}

/**
 * The same for work that is whole or nothing: when a task has failed no further one is begun, and the items that are left are
 * rejected with its reason.
 */
export function settleWhole<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
): Promise<PromiseSettledResult<Result>[]> {
  let failed: { readonly reason: unknown } | undefined;
  return settleAll(items, async (item) => {
    if (failed !== undefined) throw failed.reason;
    try {
      return await task(item);
    } catch (reason) {
      failed ??= { reason };
      throw reason;
    }
  });
}
