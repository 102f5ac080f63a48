/** Finds the store key of a scope: the key that makes row MACs and authenticates events. */
import type { StoreKey } from '../cell/store-key.js';
import { StoreError } from '../errors.js';
import type { KeyReader, KeyRecord, KeyStore } from '../keys/ports.js';
import { stateOpens } from '../keys/states.js';
import { unwrapStoreKey } from './key-maker.js';
import { rowIsGenuine } from './row-mac.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';

/**
 * The store key, unwrapped; the caller closes it. Undefined when the key store holds nothing of the scope.
 * One moment of the key store, three queries at most, and one KMS call.
 * @throws StoreError `ERR_STORE_KEY` when it is gone or not the pinned one, `ERR_STORE_ROW_MAC`; KmsError;
 * KeyError `ERR_KEY_COMMITMENT`.
 */
export async function findStoreKey(desk: ScopeDesk, store: KeyStore): Promise<StoreKey | undefined> {
  // Of one moment: between two looks another process may make its first keys.
  const { rows, isEmpty } = await store.atOneMoment((moment) => look(desk, moment));
  const [row, ...others] = rows;
  if (row === undefined) {
    assertEmpty(desk, isEmpty);
    return undefined;
  }
  if (others.length > 0) throw wrongKey(desk, `there are ${others.length + 1} store keys, expected one`);
  assertUsable(desk, row);
  return openGenuine(desk, row);
}

/** The rows of store keys, and whether there is nothing of the scope at all. */
async function look({ scope }: ScopeDesk, reader: KeyReader) {
  const rows = await reader.list(scope, { kinds: ['store'] });
  if (rows.length > 0) return { rows, isEmpty: false };
  const last = await reader.lastEvent(scope);
  return { rows, isEmpty: last === undefined && (await reader.list(scope)).length === 0 };
}

/** A missing store key is a first start only where nothing else tells of an earlier one. */
function assertEmpty(desk: ScopeDesk, isEmpty: boolean): void {
  const { policy } = desk;
  if (policy.storeKey !== undefined) {
    throw wrongKey(desk, `there is no store key, expected ${policy.storeKey} as policy.storeKey says`);
  }
  if (!isEmpty) {
    throw wrongKey(desk, 'there are keys or events, but their store key is gone');
  }
}

function assertUsable(desk: ScopeDesk, row: KeyRecord): void {
  const pinned = desk.policy.storeKey;
  if (pinned !== undefined && pinned !== row.fingerprint) {
    throw wrongKey(desk, `the store key is ${row.fingerprint}, expected ${pinned} as policy.storeKey says`);
  }
  if (!stateOpens(row.state))
    throw wrongKey(desk, `the store key ${row.fingerprint} is in state ${row.state}`);
}

/** The row of the store key is bound by the key that it holds. */
async function openGenuine({ kms, scope }: ScopeDesk, row: KeyRecord): Promise<StoreKey> {
  const key = await unwrapStoreKey(kms, { ...row, ...scope, kind: 'store' });
  if (rowIsGenuine(key, row)) return key;
  key.close();
  throw new StoreError(
    'ERR_STORE_ROW_MAC',
    `Store key ${row.fingerprint} of ${nameOf(scope)}: its row was changed by somebody without the key (the row MAC does not fit). Put the row back from a backup of the key store.`,
  );
}

function wrongKey({ scope }: ScopeDesk, what: string): StoreError {
  return new StoreError(
    'ERR_STORE_KEY',
    `Key store of ${nameOf(scope)}: ${what}. Nothing was written; restore the key store from its backup, or correct the configuration.`,
  );
}
