/** Results that are mostly there at once: waiting for a promise costs as much as opening a cell. */
export type Ready<T> = T | Promise<T>;

/** Goes on without a turn of the microtask queue where nothing has to be waited for. */
export function whenReady<T, R>(value: Ready<T>, next: (value: T) => Ready<R>): Ready<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
