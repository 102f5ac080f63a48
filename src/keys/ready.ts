import { isPromise } from 'node:util/types';

/** Results that are mostly there at once: waiting for a promise costs as much as opening a cell. */
export type Ready<T> = T | Promise<T>;

/** Whether it has to be waited for; promises of another realm, too. */
export function isPending<T>(value: Ready<T>): value is Promise<T> {
  return isPromise(value);
}

/** Goes on without a turn of the microtask queue where nothing has to be waited for. */
export function whenReady<T, R>(value: Ready<T>, next: (value: T) => Ready<R>): Ready<R> {
  return isPending(value) ? value.then(next) : next(value);
}
