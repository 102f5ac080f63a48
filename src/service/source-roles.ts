/**
 * What a process does with the key store besides reading keys: the key-service role makes, moves and counts keys, the
 * application role only reads.
 */
import type { StoreKey } from '../cell/store-key.js';
import { ConfigError, type FieldSealError, StoreError } from '../errors.js';
import type { CellKeyKind, KeyRecord, KeyUsage } from '../keys/ports.js';
import { endOf, isCellKey } from './clockwork.js';
import { chooseKeys, type WantedKeys } from './hand-out.js';
import { checkConfiguredKeks, configuredKeks, chooseKeks } from './kek-spread.js';
import { makeStoreKey } from './key-maker.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';
import type { LockedRows } from './locked-rows.js';
import { type Moment, readMoment } from './moment.js';
import { alarmRefused, type Changed, ScopeLedger } from './scope-ledger.js';
import { findStoreKey } from './store-key.js';
import { tick } from './tick.js';

export interface SourceRole {
  /** The ledger of the scope, its events and rows checked; the caller closes it. */
  open(): Promise<ScopeLedger>;
  /** The keys of the next hand-out, wrapped, in the order of the draw. The usage is in the key store when it returns, where the role counts it. */
  choose(ledger: ScopeLedger, kind: CellKeyKind, report?: UsageReport): Promise<readonly KeyRecord[]>;
  /** Counts chosen data keys that are about to be unwrapped and handed out, where that has to be counted. */
  claim(ledger: ScopeLedger, chosen: readonly KeyRecord[]): Promise<void>;
}

/** What a process tells when it asks for keys. */
export interface UsageReport {
  readonly usage: readonly KeyUsage[];
  /** Keys that it may seal with no more, whatever their counters say: it may be that nobody counts for it. */
  readonly exhausted: readonly string[];
}

const NOTHING_SEALED: UsageReport = { usage: [], exhausted: [] };

/** Makes what an empty key store lacks, and ticks at start and before each hand-out. */
export function keyServiceRole(desk: ScopeDesk): SourceRole {
  return {
    async open() {
      checkConfiguredKeks(desk.policy, configuredKeks(desk.kms, desk.policy.purpose), desk.emit);
      const storeKey = await findStoreKey(desk, desk.store);
      return storeKey === undefined ? firstStart(desk) : resume(desk, storeKey);
    },
    async choose(ledger, kind, { usage, exhausted } = NOTHING_SEALED) {
      const changed = await ledger.change(desk.store, async (rows) => {
        await countUsage(rows, usage);
        const moment = await readMoment(desk, rows);
        const failures = await tick(desk, rows, moment);
        return chooseOrFail(desk, rows, { kind, exhausted }, moment, failures);
      });
      report(desk, changed);
      return changed.result;
    },
    async claim(ledger, chosen) {
      if (desk.policy.suite !== 'xaes-256-gcm') return;
      await ledger.change(desk.store, (rows) => countPrefixes(rows, chosen));
    },
  };
}

/** Reads; usage of keys is not counted. @throws ConfigError where it has to be. */
export function applicationRole(desk: ScopeDesk): SourceRole {
  const { suite, delivery } = desk.policy;
  if (suite === 'xaes-256-gcm' && delivery === 'pool') throw prefixesNotCounted(desk);
  return readingRole(desk);
}

/** For whoever may read alone: nothing that has to be counted is handed out. */
export function readingRole(desk: ScopeDesk): SourceRole {
  return {
    async open() {
      const storeKey = await findStoreKey(desk, desk.store);
      if (storeKey === undefined) throw emptyStore(desk);
      return openLedger(desk, storeKey, async (ledger) => {
        alarmRefused(desk, await ledger.readAll(desk.store));
      });
    },
    async choose(ledger, kind, { exhausted } = NOTHING_SEALED) {
      const rows = await ledger.read(desk.store, (reader) =>
        reader.list(desk.scope, { kinds: [kind], states: ['ENCRYPT'] }),
      );
      alarmRefused(desk, rows);
      const moment = await readMoment(desk, desk.store);
      return chooseKeys(desk, [...rows.keys.values()], { kind, exhausted }, moment);
    },
    claim: () => Promise.resolve(),
  };
}

/**
 * Everything of a first start in one transaction: of two processes that start at once one makes the keys, the other
 * finds them; a failure leaves the key store empty.
 */
async function firstStart(desk: ScopeDesk): Promise<ScopeLedger> {
  const moment = await readMoment(desk, desk.store);
  if (moment.doubt !== undefined) throw moment.doubt;
  const at = new Date(moment.now);
  const [kek] = chooseKeks(1, desk.kms.keks(desk.scope.purpose), [], desk.randomBelow);
  const { key, row } = await makeStoreKey(desk.kms, kek!, desk.scope, at);
  const ledger = new ScopeLedger(desk.scope, key);
  try {
    const changed = await desk.store.withLock(desk.scope, async (locked) => {
      if ((await locked.list(desk.scope)).length > 0) return undefined;
      return ledger.begin(locked, async (rows) => {
        await rows.insert(row, { at, who: desk.actor, why: 'first start' });
        const [failure] = await tick(desk, rows, moment);
        if (failure !== undefined) throw failure;
      });
    });
    if (changed !== undefined) {
      ledger.adopt(changed.rows);
      report(desk, changed);
      return ledger;
    }
  } catch (error) {
    ledger.close();
    throw error;
  }
  ledger.close();
  const adopted = await findStoreKey(desk, desk.store);
  if (adopted === undefined) throw emptyStore(desk);
  return resume(desk, adopted);
}

async function resume(desk: ScopeDesk, storeKey: StoreKey): Promise<ScopeLedger> {
  return openLedger(desk, storeKey, async (ledger) => {
    const changed = await ledger.change(desk.store, async (rows) =>
      tick(desk, rows, await readMoment(desk, rows)),
    );
    report(desk, changed);
    warnOfLongerKeys(desk, changed.rows);
  });
}

async function openLedger(
  desk: ScopeDesk,
  storeKey: StoreKey,
  check: (ledger: ScopeLedger) => Promise<void>,
): Promise<ScopeLedger> {
  const ledger = new ScopeLedger(desk.scope, storeKey);
  try {
    await check(ledger);
    return ledger;
  } catch (error) {
    ledger.close();
    throw error;
  }
}

async function countUsage(rows: LockedRows, usage: readonly KeyUsage[]): Promise<void> {
  for (const { fingerprint, cells, bytes } of usage) {
    const row = rows.find(fingerprint);
    if (row === undefined || cells + bytes <= 0) continue;
    await rows.update(fingerprint, { cells: add(row.cells, cells), bytes: add(row.bytes, bytes) });
  }
}

/** Each hand-out of a key for xaes-256-gcm is one nonce prefix, drawn by the process when it derives the key. */
async function countPrefixes(rows: LockedRows, chosen: readonly KeyRecord[]): Promise<void> {
  for (const { fingerprint, prefixes } of chosen) {
    await rows.update(fingerprint, { prefixes: (rows.find(fingerprint)?.prefixes ?? prefixes) + 1 });
  }
}

/** When no key may seal, what kept the tick from making one says more than that there is none. */
function chooseOrFail(
  desk: ScopeDesk,
  rows: LockedRows,
  wanted: WantedKeys,
  moment: Moment,
  failures: readonly FieldSealError[],
): readonly KeyRecord[] {
  try {
    return chooseKeys(desk, rows.keys, wanted, moment);
  } catch (error) {
    // Nothing is kept of this change, so that nobody reports it.
    alarmRefused(desk, rows);
    throw failures[0] ?? error;
  }
}

function report(desk: ScopeDesk, { rows }: Changed<unknown>): void {
  for (const { purpose, fingerprint, from, to } of rows.moves) {
    desk.emit({ type: 'key-moved', purpose, fingerprint, from, to });
  }
  alarmRefused(desk, rows);
}

/** Told at start alone: while a deploy changes `sealFor`, processes of both policies are at work, and that is no fault. */
function warnOfLongerKeys({ policy, emit }: ScopeDesk, { keys }: LockedRows): void {
  const longer = keys.filter(
    (key) => isCellKey(key) && key.state === 'ENCRYPT' && (key.retires?.getTime() ?? 0) > endOf(key, policy),
  );
  if (longer.length === 0) return;
  const message = `purposes.${policy.purpose}.key.sealFor: expected keys that seal so long at most (${policy.key.sealForMs} ms), got ${longer.length} with later dates, which a longer sealFor gave them; they stop sealing when this one says. Set it alike in all processes that make keys.`;
  emit({ type: 'warning', code: 'ERR_CONFIG_OPTION', message });
}

/** Counters stop at the largest whole number that is exact; limits lie far below. */
function add(count: number, more: number): number {
  return Math.min(count + more, Number.MAX_SAFE_INTEGER);
}

function prefixesNotCounted({ policy }: ScopeDesk): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${policy.purpose}.suite: xaes-256-gcm counts every hand-out in the key store, which a source with manage: false cannot write; expected manage: true or suite aes-256-siv.`,
  );
}

function emptyStore({ scope }: ScopeDesk): StoreError {
  return new StoreError(
    'ERR_STORE_EMPTY',
    `Key store of ${nameOf(scope)}: it holds no keys, and this source only reads (manage: false); start a process with manage: true once, or check application, environment and purpose.`,
  );
}
