/** What somebody who runs code in a process finds there: reachable objects, by the debugger's own means. */
import { createWriteStream, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { pipeline } from 'node:stream/promises';
import { getHeapSnapshot } from 'node:v8';
import { encodeBinding } from '../../src/cell/binding.js';
import { CellGroups } from '../../src/cell/cell-groups.js';
import { cellColumn } from '../../src/cell/column.js';
import { DataKey } from '../../src/cell/data-key.js';
import { PrivateKey } from '../../src/cell/key-pair.js';
import { beginOpening, openCells, type Opening } from '../../src/cell/open.js';
import type { StolenCell } from './web-process.js';

/** Every object that has this prototype and is reachable, after a collection of garbage. */
async function reachable<T>(prototype: T): Promise<readonly T[]> {
  const session = new Session();
  session.connect();
  const post = <R>(method: string, params: object): Promise<R> =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error, result) => {
        if (error) reject(error);
        else resolve(result as R);
      });
    });
  const shared = globalThis as { lookedFor?: unknown; found?: readonly T[] };
  try {
    shared.lookedFor = prototype;
    interface Evaluated {
      readonly result: { readonly objectId: string };
    }
    const { result } = await post<Evaluated>('Runtime.evaluate', { expression: 'globalThis.lookedFor' });
    interface Queried {
      readonly objects: { readonly objectId: string };
    }
    const { objects } = await post<Queried>('Runtime.queryObjects', { prototypeObjectId: result.objectId });
    await post('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      functionDeclaration: 'function () { globalThis.found = this; }',
    });
    return [...(shared.found ?? [])];
  } finally {
    delete shared.lookedFor;
    delete shared.found;
    session.disconnect();
  }
}

/** How many keys are reachable that open anything. */
export interface Opened {
  readonly keys: number;
  /** Of private keys no cell is tried: there must be none. */
  readonly privateKeys: number;
  readonly serials: readonly number[];
}

/** Serials of the rows that any reachable key opens a cell of. */
export async function cellsOpenedByReachableKeys(cells: readonly StolenCell[]): Promise<Opened> {
  const keys = (await reachable(DataKey.prototype)).filter((key) => key instanceof DataKey && !key.closed);
  const pairs = (await reachable(PrivateKey.prototype)).filter((key) => key instanceof PrivateKey);
  const serials = cells.filter((cell) => keys.some((key) => opens(key, cell))).map(({ serial }) => serial);
  return { keys: keys.length, privateKeys: pairs.length, serials: [...new Set(serials)] };
}

function opens(key: DataKey, { purpose, field, id, cell }: StolenCell): boolean {
  const bound = field === 'pan';
  const column = cellColumn({
    ...{ application: 'shop', environment: 'test', purpose, entity: 'cards', field },
    ...{ codec: 'string', pad: 0, bound },
  });
  const groups = new CellGroups<Opening>();
  const accept = { suites: ['aes-256-siv'], deliveries: ['envelope', 'sealed'] } as const;
  const binding = bound ? [encodeBinding([{ name: 'id', kind: 'uuid', value: id }])] : undefined;
  const opening = beginOpening(groups, column, [Buffer.from(cell, 'base64')], { accept, bindings: binding });
  for (const group of groups.all) openCells(key, group);
  return opening.failures === undefined;
}

/** Writes all that is reachable to a file: the bytes of buffers, and the heap with its strings. */
export async function dumpMemory(file: string): Promise<void> {
  const buffers = (await reachable(ArrayBuffer.prototype)).filter((one) => one instanceof ArrayBuffer);
  writeFileSync(file, Buffer.concat(buffers.map((one) => Buffer.from(one))));
  await pipeline(getHeapSnapshot(), createWriteStream(file, { flags: 'a' }));
}
