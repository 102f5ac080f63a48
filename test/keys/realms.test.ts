/** Promises, bytes, dates and errors of another realm (vm contexts, test runners) are known for what they are. */
import { createContext, runInContext } from 'node:vm';
import { expect, it } from 'vitest';
import { errnoOf } from '../../src/kms/local/key-file-access.js';
import { codedError } from '../../src/keys/source-calls.js';
import { Listener } from '../../src/keys/listener.js';
import type { FieldSealEvent } from '../../src/keys/events.js';
import { bindingOf } from '../../src/keys/single-value.js';
import { whenReady } from '../../src/keys/ready.js';
import { canonicalBytes } from '../../src/service/canonical-encoding.js';

const realm = createContext({});
const foreign = (code: string): unknown => runInContext(code, realm);

it('a promise is waited for', async () => {
  const promise = foreign('Promise.resolve(1)') as Promise<number>;
  expect(promise).not.toBeInstanceOf(Promise);
  expect(await whenReady(promise, (value) => value + 1)).toBe(2);
});

it('a listener that rejects is counted, and ends no process', async () => {
  const listener = new Listener(foreign('async () => { throw new Error("x"); }') as () => Promise<void>);
  listener.emit({} as FieldSealEvent);
  await new Promise((resolve) => setImmediate(resolve));
  expect(listener.errors).toBe(1);
});

it('bytes bind a value and stand in a row of the key store, as dates do', () => {
  const bytes = foreign('Uint8Array.of(1, 2)') as Uint8Array;
  const options = { type: 'string', bind: new Map([['token', bytes]]) } as never;
  const own = { type: 'string', bind: new Map([['token', Uint8Array.of(1, 2)]]) } as never;
  expect(bindingOf(options)).toEqual(bindingOf(own));
  const date = foreign('new Date(5)') as Date;
  expect(canonicalBytes('row', [bytes, date])).toEqual(canonicalBytes('row', [Buffer.of(1, 2), new Date(5)]));
});

it('an error is told by its class and its code', () => {
  const error = foreign('Object.assign(new RangeError("secret"), { code: "EACCES" })') as Error;
  expect(errnoOf(error)).toBe('EACCES');
  expect(codedError('key', error).message).toContain('RangeError');
});
