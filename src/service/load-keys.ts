/** Loads keys for opening, and the index keys. */
import { KeyError, type FieldSealError } from '../errors.js';
import type { CellKeyKind, KeyRecord, LoadOutcome, UnwrappedKey } from '../keys/ports.js';
import { stateOpens } from '../keys/states.js';
import { unwrapRoot } from './key-maker.js';
import { codedError, isPassingTrouble } from './kms-trouble.js';
import { settleAll } from '../keys/parallel.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';
import type { JudgedRows } from './locked-rows.js';
import { alarmRefused, type ScopeLedger } from './scope-ledger.js';

const WORDS: Readonly<Record<CellKeyKind, string>> = { data: 'data key', pair: 'key pair' };

/**
 * One outcome per fingerprint. One query for all of them, one KMS call per key that may open, in bounded parallel.
 * @throws StoreError when the key store is out of reach or its events are broken.
 */
export async function loadKeys(
  desk: ScopeDesk,
  ledger: ScopeLedger,
  fingerprints: readonly string[],
  kind: CellKeyKind,
): Promise<readonly LoadOutcome[]> {
  const wanted = [...new Set(fingerprints)];
  const rows = await ledger.read(desk.store, (reader) => reader.find(desk.scope, wanted), wanted);
  alarmRefused(desk, rows);
  const keys = await settleAll(wanted, (fingerprint) =>
    unwrapRow(desk, openableRow(desk, rows, fingerprint, kind)),
  );
  return wanted.map((fingerprint, i) => {
    const key = keys[i]!;
    return key.status === 'fulfilled'
      ? { fingerprint, key: key.value }
      : { fingerprint, error: outcomeError(fingerprint, key.reason) };
  });
}

/**
 * The index keys of the policy's versions, in that order. One query, one KMS call a version.
 * @throws KeyError `ERR_KEY_NOT_FOUND`, `ERR_KEY_STATE`; StoreError; KmsError.
 */
export async function loadIndexKeys(desk: ScopeDesk, ledger: ScopeLedger): Promise<readonly UnwrappedKey[]> {
  const rows = await ledger.read(desk.store, (reader) => reader.list(desk.scope, { kinds: ['index'] }));
  const chosen = desk.policy.index.versions.map((version) => indexRow(desk, rows, version));
  const settled = await settleAll(chosen, (row) => unwrapRow(desk, row));
  const keys = settled.flatMap((key) => (key.status === 'fulfilled' ? [key.value] : []));
  if (keys.length === chosen.length) return keys;
  for (const key of keys) key.root.fill(0);
  throw codedError(settled.find((key) => key.status === 'rejected')?.reason);
}

async function unwrapRow(desk: ScopeDesk, row: KeyRecord): Promise<UnwrappedKey> {
  const { fingerprint, commitment, version } = row;
  return { fingerprint, commitment, version, root: await unwrapRoot(desk.kms, row) };
}

function openableRow(desk: ScopeDesk, rows: JudgedRows, fingerprint: string, kind: CellKeyKind): KeyRecord {
  const refusal = rows.refused.get(fingerprint);
  if (refusal !== undefined) throw refusal;
  const row = rows.keys.get(fingerprint);
  if (row === undefined) throw neverTold(desk, fingerprint);
  // A cell that names the store key or an index key names no key of cells, and one of a pool names no pair.
  if (row.kind !== kind) {
    throw new KeyError(
      'ERR_KEY_NOT_FOUND',
      `Key ${fingerprint}: ${nameOf(desk.scope)} has no such ${WORDS[kind]}.`,
    );
  }
  if (row.state === 'EXPIRED') alarmExpired(desk, fingerprint);
  assertOpens(row);
  return row;
}

/**
 * Not even an event tells of the key, and nobody deletes a row and its events and leaves the chain whole: either they were
 * never here, or an older copy of the key store took the place of all. Of a fresh process this is the only sign.
 */
function neverTold({ emit, scope }: ScopeDesk, fingerprint: string): KeyError {
  const message =
    `Key ${fingerprint}: no event of ${nameOf(scope)} has ever told of it, and a cell names it. Either an older copy of the key ` +
    'store was put back, and keys made since are missing: stop the processes that make keys (manage: true) and recover the ' +
    'key store to its last moment; or the cell is of another key store, or somebody made its fingerprint up.';
  emit({ type: 'alarm', code: 'ERR_KEY_NOT_FOUND', message, fingerprint });
  return new KeyError('ERR_KEY_NOT_FOUND', message);
}

function indexRow(desk: ScopeDesk, rows: JudgedRows, version: number): KeyRecord {
  const row = [...rows.keys.values()].find((key) => key.version === version);
  if (row !== undefined) {
    assertOpens(row);
    return row;
  }
  for (const refusal of rows.refused.values()) throw refusal;
  throw new KeyError(
    'ERR_KEY_NOT_FOUND',
    `${nameOf(desk.scope)}: no index key of version ${version}; a process with manage: true and this version in index.versions makes it.`,
  );
}

function assertOpens({ fingerprint, state }: KeyRecord): void {
  if (stateOpens(state)) return;
  throw new KeyError(
    'ERR_KEY_STATE',
    `Key ${fingerprint}: it is in state ${state}, in which applications may not use it.`,
  );
}

/** Rows were counted to zero before a key expired, so a reader that asks for it found one that was missed. */
function alarmExpired(desk: ScopeDesk, fingerprint: string): void {
  const message = `Key ${fingerprint} of ${nameOf(desk.scope)}: a cell under it was read although the key is EXPIRED; do not destroy it before those rows are found.`;
  desk.emit({ type: 'alarm', code: 'ERR_KEY_STATE', message, fingerprint });
}

/** Trouble that may pass is told apart from a refusal, whichever KMS it comes from. */
function outcomeError(fingerprint: string, reason: unknown): FieldSealError {
  const error = codedError(reason);
  if (!isPassingTrouble(error)) return error;
  const message = `Key ${fingerprint}: it cannot be fetched now; try again. ${error.message}`;
  return new KeyError('ERR_KEY_UNAVAILABLE', message, { cause: error });
}
