/** The field seal: one application's purposes at work in this process. */
import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { sealCells } from '../cell/seal.js';
import { FormatError, SealError } from '../errors.js';
import { closedError } from './closed.js';
import { Columns, type DeclaredColumn } from './columns.js';
import { parseFieldSealOptions } from './field-seal-options.js';
import type { FieldSealOptions, ParsedFieldSealOptions } from './field-seal-options.js';
import { FIELD_SEAL_BRAND } from './field-seal.js';
import type {
  CellsOfColumn,
  FieldColumn,
  FieldDeclaration,
  FieldSealPages,
  OpenedColumn,
  SealedColumn,
  ValuesOfColumn,
} from './field-seal.js';
import { Listener } from './listener.js';
import { openPage } from './open-page.js';
import type { CellsToOpen, OpenPageParts } from './open-page.js';
import { describeValue } from './options.js';
import type { Policy } from './policy.js';
import { openPreviously } from './previously.js';
import { ProcessKeys } from './process-keys.js';
import { whenReady, type Ready } from './ready.js';
import { searchIndexes, sealRows } from './seal-rows.js';
import { bindingOf, parseValueOptions, ValueColumns } from './single-value.js';
import type { ValueOptions } from './single-value.js';

export type { FieldSealOptions } from './field-seal-options.js';
export type { ValueOptions } from './single-value.js';

/** Counters since {@link createFieldSeal}. */
export interface FieldSealStats {
  readonly cellsSealed: number;
  readonly cellsOpened: number;
  /** Cells that were asked for and could not be opened. */
  readonly openFailures: number;
  /** Calls of the KMS per operation, retries included. */
  readonly kmsCalls: Readonly<Record<string, number>>;
  /** Keys that were loaded for opening. */
  readonly unwraps: number;
  /** Keys held for opening, beyond those of the pools. */
  readonly keyringSize: number;
  /** Events on which `onEvent` threw. */
  readonly listenerErrors: number;
  /** By purpose. */
  readonly pools: Readonly<Record<string, PoolStats>>;
}

export interface PoolStats {
  readonly keys: number;
  /** Since the last successful refresh. */
  readonly ageMs: number;
  /** How long sealing would go on if the key source failed from now on. */
  readonly outageMinutes: number;
}

/** Seals and opens under the purposes it was made with. Prints neither keys nor settings beyond their names. */
export interface FieldSeal extends FieldSealPages {
  /**
   * One value as a cell, for places outside an ORM. Synchronous, no I/O.
   * @param name `'entity.field'`, split at the first dot; part of the authenticated context.
   * @throws SealError; KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`, `ERR_CLOSED`; ConfigError
   * `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`, `ERR_CONFIG_OPTION`.
   */
  seal(purpose: string, name: string, value: unknown, options?: ValueOptions): Buffer;
  /**
   * The value of one cell. Asks the key source when the key is not here.
   * @throws FormatError, OpenError, KeyError, KmsError as the cell and its key have it; ConfigError as for `seal`.
   */
  open(purpose: string, name: string, cell: Uint8Array, options?: ValueOptions): Promise<unknown>;
  stats(): FieldSealStats;
  /** Stops timers, drops keys, closes the key source. Idempotent; everything else throws `ERR_CLOSED` afterwards. */
  close(): Promise<void>;
}

/**
 * A field seal whose pools and index keys are warm: sealing needs no I/O from then on. Its timers do not keep the
 * process alive. When it cannot start, everything it opened is closed again.
 *
 * @throws ConfigError `ERR_CONFIG_OPTION`; every error of the key source; KeyError `ERR_POOL_EMPTY`,
 * `ERR_KEY_NOT_FOUND`, `ERR_KEY_COMMITMENT`, `ERR_KEY_UNAVAILABLE` (also when the source takes longer than a minute).
 */
export async function createFieldSeal(options: FieldSealOptions): Promise<FieldSeal> {
  const fieldSeal = new KeyedFieldSeal(parseFieldSealOptions(options));
  await fieldSeal.start();
  return fieldSeal;
}

class KeyedFieldSeal implements FieldSeal {
  readonly [FIELD_SEAL_BRAND] = true;
  readonly access = 'read-write';
  readonly application: string;
  readonly environment: string;
  readonly #purposes: readonly string[];
  readonly #options: ParsedFieldSealOptions;
  readonly #listener: Listener;
  readonly #keys: ProcessKeys;
  readonly #columns: Columns;
  readonly #valueColumns: ValueColumns;
  readonly #openParts: OpenPageParts;
  #cellsSealed = 0;
  #cellsOpened = 0;
  #openFailures = 0;
  #closed = false;

  constructor(options: ParsedFieldSealOptions) {
    const { application, environment, policies, onEvent } = options;
    this.application = application;
    this.environment = environment;
    this.#purposes = [...policies.keys()];
    this.#options = options;
    this.#listener = new Listener(onEvent);
    this.#keys = new ProcessKeys({
      ...options,
      emit: (event) => {
        this.#listener.emit(event);
      },
    });
    this.#columns = new Columns(application, environment, policies, (event) => {
      this.#listener.emit(event);
    });
    this.#valueColumns = new ValueColumns(this.#columns);
    this.#openParts = {
      keyring: this.#keys.keyring,
      assertOpen: () => {
        this.#assertOpen();
      },
      opened: (cells, failures) => {
        this.#cellsOpened += cells;
        this.#openFailures += failures;
      },
    };
  }

  start(): Promise<void> {
    return this.#keys.start();
  }

  column(declaration: FieldDeclaration): FieldColumn {
    this.#assertOpen();
    return this.#columns.declare(declaration);
  }

  prepare(): Promise<void> {
    return this.#closed ? Promise.reject(closedError()) : Promise.resolve();
  }

  sealRows(rows: readonly ValuesOfColumn[]): readonly SealedColumn[] {
    this.#assertOpen();
    return sealRows(this.#sealParts(), rows);
  }

  searchIndexes(column: FieldColumn, value: unknown): readonly Buffer[] {
    this.#assertOpen();
    return searchIndexes(this.#sealParts(), column, value);
  }

  openPage(page: readonly CellsOfColumn[]): Ready<readonly OpenedColumn[]> {
    this.#assertOpen();
    const columns = page.map(({ column }) => this.#columns.get(column));
    const cells = page.map((asked, i) => cellsToOpen(asked, columns[i]!));
    const opened = openPage(this.#openParts, cells);
    if (!columns.some(({ previous }) => previous)) return opened;
    return whenReady(opened, (all) => openPreviously(this.#openParts, cells, columns, all));
  }

  warn(code: string, message: string): void {
    this.#listener.emit({ type: 'warning', code, message });
  }

  seal(purpose: string, name: string, value: unknown, options?: ValueOptions): Buffer {
    this.#assertOpen();
    const parsed = parseValueOptions(options);
    const column = this.#valueColumns.get(purpose, name, parsed);
    if (value === null || value === undefined) {
      throw new SealError(
        'ERR_SEAL_TYPE',
        `${name}: expected a value to seal, got ${describeValue(value)}; store NULL.`,
      );
    }
    const binding = bindingOf(parsed);
    const pool = this.#keys.pools.get(purpose)!;
    const keys = pool.draw(1);
    const { cells, bytes } = sealCells(this.#columns.policy(purpose).suite, column, [value], keys, [binding]);
    pool.count(keys, cells, bytes);
    this.#cellsSealed += 1;
    return cells[0]!;
  }

  async open(purpose: string, name: string, cell: Uint8Array, options?: ValueOptions): Promise<unknown> {
    this.#assertOpen();
    const parsed = parseValueOptions(options);
    const column = this.#valueColumns.get(purpose, name, parsed);
    if (!isUint8Array(cell)) {
      throw new FormatError(
        'ERR_FORMAT_CELL',
        `${name}: expected the bytes of a cell, got ${describeValue(cell)}.`,
      );
    }
    const accept = acceptedBy(this.#columns.policy(purpose));
    const page = [{ column, accept, cells: [cell], bindings: [bindingOf(parsed)] }];
    const [opened] = await openPage(this.#openParts, page);
    const failure = opened!.failures?.get(0);
    if (failure !== undefined) throw failure;
    return opened!.values[0];
  }

  stats(): FieldSealStats {
    const { pools, keyring } = this.#keys;
    return {
      cellsSealed: this.#cellsSealed,
      cellsOpened: this.#cellsOpened,
      openFailures: this.#openFailures,
      kmsCalls: { ...this.#options.source.kmsCalls() },
      unwraps: keyring.unwraps,
      keyringSize: keyring.size,
      listenerErrors: this.#listener.errors,
      pools: Object.fromEntries(
        [...pools].map(([purpose, { fingerprints, ageMs, outageLeftMs }]) => [
          purpose,
          { keys: fingerprints.length, ageMs, outageMinutes: outageLeftMs / 60_000 },
        ]),
      ),
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#keys.close();
  }

  toJSON(): unknown {
    return { application: this.application, environment: this.environment, purposes: this.#purposes };
  }

  [inspect.custom](): string {
    return `FieldSeal ${inspect(this.toJSON(), { breakLength: Infinity })}`;
  }

  #sealParts(): Parameters<typeof sealRows>[0] {
    const sealed = (cells: number): void => {
      this.#cellsSealed += cells;
    };
    return { columns: this.#columns, pools: this.#keys.pools, indexKeys: this.#keys.indexKeys, sealed };
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function cellsToOpen(
  { cells, fingerprints, bindings, previousBindings }: CellsOfColumn,
  { cells: column, policy }: DeclaredColumn,
): CellsToOpen {
  return { column, accept: acceptedBy(policy), cells, fingerprints, bindings, previousBindings };
}

const acceptedBy = ({ accept, delivery }: Policy): CellsToOpen['accept'] => ({
  suites: accept.suites,
  deliveries: [delivery],
});
