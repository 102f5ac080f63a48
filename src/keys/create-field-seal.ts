/** The field seal: one application's purposes at work in this process. */
import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { ConfigError, FormatError, OpenError, SealError } from '../errors.js';
import { closedError } from './closed.js';
import { Columns, type DeclaredColumn } from './columns.js';
import type { FieldSealEvent } from './events.js';
import { parseFieldSealOptions, refusePools } from './field-seal-options.js';
import type { FieldSealOptions, ParsedFieldSealOptions } from './field-seal-options.js';
import { FIELD_SEAL_BRAND } from './field-seal.js';
import type {
  CellsOfColumn,
  FieldColumn,
  FieldDeclaration,
  FieldSealPages,
  OpenedColumn,
  PreparedKeys,
  SealedColumn,
  ValuesOfColumn,
} from './field-seal.js';
import { Listener } from './listener.js';
import { openPage } from './open-page.js';
import type { CellsToOpen, OpenPageParts } from './open-page.js';
import { describeValue } from './options.js';
import type { Access } from './ports.js';
import { prepareKeys, StatementKeys } from './prepared-keys.js';
import { openPreviously } from './previously.js';
import { ProcessKeys } from './process-keys.js';
import { whenReady, type Ready } from './ready.js';
import { searchIndexes, sealRows, type SealRowsParts } from './seal-rows.js';
import { bindingOf, parseValueOptions, sealSingle, singleValue, ValueColumns } from './single-value.js';
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
  /** Keys held for opening, beyond those of the pools: data keys, private keys and session keys. */
  readonly keyringSize: number;
  /** Events on which `onEvent` threw. */
  readonly listenerErrors: number;
  /** By purpose; of sealed delivery, the public keys. */
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
   * One value as a cell, for places outside an ORM. Synchronous, no I/O; for purposes of pool delivery.
   * @param name `'entity.field'`, split at the first dot; part of the authenticated context.
   * @throws SealError, `ERR_SEAL_NOT_PREPARED` for other deliveries; KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`,
   * `ERR_CLOSED`; ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`, `ERR_CONFIG_OPTION`.
   */
  seal(purpose: string, name: string, value: unknown, options?: ValueOptions): Buffer;
  /**
   * As `seal`, for every delivery: what has to be made is made, with one KMS call for envelope delivery.
   * @throws as `seal` and `prepare`.
   */
  sealAsync(purpose: string, name: string, value: unknown, options?: ValueOptions): Promise<Buffer>;
  /**
   * The value of one cell. Asks the key source when the key is not here.
   * @throws FormatError, OpenError, KeyError, KmsError as the cell and its key have it; ConfigError as for `seal`.
   */
  open(purpose: string, name: string, cell: Uint8Array, options?: ValueOptions): Promise<unknown>;
  /**
   * This field seal with nothing but writing: a view that guards against mistakes. What the process holds it still holds;
   * only a process of its own, with `access: 'write-only'`, keeps secrets from whoever takes it over.
   * @throws ConfigError `ERR_CONFIG_POOL_NOT_WRITE_ONLY`; `ERR_CONFIG_OPTION` on a field seal that only reads.
   */
  writeOnly(): FieldSeal;
  /** This field seal with nothing but reading. @throws ConfigError `ERR_CONFIG_OPTION` on one that only writes. */
  readOnly(): FieldSeal;
  stats(): FieldSealStats;
  /**
   * Stops timers, drops keys, closes the key source; views are closed with it, and it with them. Idempotent; everything
   * else throws `ERR_CLOSED` afterwards.
   */
  close(): Promise<void>;
}

/**
 * A field seal whose pools and index keys are warm: sealing needs no I/O from then on, but for deliveries with keys of
 * their own. Its timers do not keep the process alive. When it cannot start, everything it opened is closed again.
 *
 * @throws ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_POOL_NOT_WRITE_ONLY`; every error of the key source; KmsError
 * `ERR_KMS_TOO_MUCH_PRIVILEGE`; KeyError `ERR_POOL_EMPTY`, `ERR_KEY_NOT_FOUND`, `ERR_KEY_COMMITMENT`,
 * `ERR_KEY_UNAVAILABLE` (also when the source takes longer than a minute).
 */
export async function createFieldSeal(options: FieldSealOptions): Promise<FieldSeal> {
  const parsed = parseFieldSealOptions(options);
  const work = new FieldSealWork(parsed);
  await work.keys.start();
  return new AccessedFieldSeal(work, parsed.access);
}

/** What a field seal and its views share. */
class FieldSealWork {
  readonly options: ParsedFieldSealOptions;
  readonly listener: Listener;
  readonly keys: ProcessKeys;
  readonly columns: Columns;
  readonly valueColumns: ValueColumns;
  cellsSealed = 0;
  cellsOpened = 0;
  openFailures = 0;
  closed = false;

  constructor(options: ParsedFieldSealOptions) {
    const { application, environment, policies, onEvent } = options;
    this.options = options;
    this.listener = new Listener(onEvent);
    const emit = (event: FieldSealEvent): void => {
      this.listener.emit(event);
    };
    this.keys = new ProcessKeys({ ...options, emit });
    this.columns = new Columns(application, environment, policies, emit);
    this.valueColumns = new ValueColumns(this.columns);
  }

  assertOpen(): void {
    if (this.closed) throw closedError();
  }

  /** What sealing needs. Without index keys where only writes are allowed. */
  sealing(access: Access): SealRowsParts {
    return {
      columns: this.columns,
      pools: this.keys.pools,
      writers: this.keys.writers,
      indexKeys: access === 'write-only' ? undefined : this.keys.reading?.indexKeys,
      sealed: (cells) => {
        this.cellsSealed += cells;
      },
    };
  }

  /** What opening needs. */
  opening(access: Access): OpenPageParts | undefined {
    const { reading } = this.keys;
    if (access === 'write-only' || reading === undefined) return undefined;
    return {
      keyring: reading.keyring,
      envelopes: reading.envelopes,
      sessions: reading.sessions,
      assertOpen: () => {
        this.assertOpen();
      },
      opened: (cells, failures) => {
        this.cellsOpened += cells;
        this.openFailures += failures;
      },
    };
  }
}

class AccessedFieldSeal implements FieldSeal {
  readonly [FIELD_SEAL_BRAND] = true;
  readonly access: Access;
  readonly application: string;
  readonly environment: string;
  readonly #work: FieldSealWork;
  readonly #sealing: SealRowsParts;
  readonly #opening: OpenPageParts | undefined;

  constructor(work: FieldSealWork, access: Access) {
    this.access = access;
    this.application = work.options.application;
    this.environment = work.options.environment;
    this.#work = work;
    this.#sealing = work.sealing(access);
    this.#opening = work.opening(access);
  }

  column(declaration: FieldDeclaration): FieldColumn {
    this.#work.assertOpen();
    if (this.access === 'write-only') refuseIndex(declaration, this.#work.columns);
    return this.#work.columns.declare(declaration);
  }

  async prepare(rows: readonly ValuesOfColumn[]): Promise<PreparedKeys> {
    return prepareKeys(this.#sealingParts(rows).writers, rows);
  }

  sealRows(rows: readonly ValuesOfColumn[], prepared?: PreparedKeys): readonly SealedColumn[] {
    return sealRows(this.#sealingParts(rows), rows, StatementKeys.of(prepared));
  }

  searchIndexes(column: FieldColumn, value: unknown): readonly Buffer[] {
    this.#work.assertOpen();
    const { columns, keys } = this.#work;
    const indexKeys = this.access === 'write-only' ? undefined : keys.reading?.indexKeys;
    return searchIndexes({ columns, indexKeys }, column, value);
  }

  openPage(page: readonly CellsOfColumn[]): Ready<readonly OpenedColumn[]> {
    const parts = this.#openingParts();
    const columns = page.map(({ column }) => this.#work.columns.get(column));
    const cells = page.map((asked, i) => cellsToOpen(asked, columns[i]!));
    const opened = openPage(parts, cells);
    if (!columns.some(({ previous }) => previous)) return opened;
    return whenReady(opened, (all) => openPreviously(parts, cells, columns, all));
  }

  warn(code: string, message: string): void {
    this.#work.listener.emit({ type: 'warning', code, message });
  }

  seal(purpose: string, name: string, value: unknown, options?: ValueOptions): Buffer {
    const parts = this.#sealingParts();
    const single = singleValue(this.#work.valueColumns, purpose, name, value, options);
    return sealSingle(parts, this.#work.columns.policy(purpose), single, undefined);
  }

  async sealAsync(purpose: string, name: string, value: unknown, options?: ValueOptions): Promise<Buffer> {
    const parts = this.#sealingParts();
    const single = singleValue(this.#work.valueColumns, purpose, name, value, options);
    const prepared = await prepareKeys(parts.writers, [{ column: single.column, values: [value] }]);
    try {
      return sealSingle(this.#sealingParts(), this.#work.columns.policy(purpose), single, prepared);
    } finally {
      prepared.close();
    }
  }

  async open(purpose: string, name: string, cell: Uint8Array, options?: ValueOptions): Promise<unknown> {
    const parts = this.#openingParts();
    const parsed = parseValueOptions(options);
    const column = this.#work.valueColumns.get(purpose, name, parsed);
    if (!isUint8Array(cell)) {
      throw new FormatError(
        'ERR_FORMAT_CELL',
        `${name}: expected the bytes of a cell, got ${describeValue(cell)}.`,
      );
    }
    const { accept } = this.#work.columns.policy(purpose);
    const page = [{ column, accept, cells: [cell], bindings: [bindingOf(parsed)] }];
    const [opened] = await openPage(parts, page);
    const failure = opened!.failures?.get(0);
    if (failure !== undefined) throw failure;
    return opened!.values[0];
  }

  writeOnly(): FieldSeal {
    this.#sealingParts();
    refusePools(this.#work.options.policies);
    return new AccessedFieldSeal(this.#work, 'write-only');
  }

  readOnly(): FieldSeal {
    this.#openingParts();
    return new AccessedFieldSeal(this.#work, 'read-only');
  }

  stats(): FieldSealStats {
    const { cellsSealed, cellsOpened, openFailures, keys, listener, options } = this.#work;
    return {
      cellsSealed,
      cellsOpened,
      openFailures,
      kmsCalls: { ...options.source.kmsCalls() },
      unwraps: keys.reading?.unwraps ?? 0,
      keyringSize: keys.reading?.size ?? 0,
      listenerErrors: listener.errors,
      pools: Object.fromEntries(
        [...keys.pools, ...keys.publicPools].map(([purpose, { fingerprints, ageMs, outageLeftMs }]) => [
          purpose,
          { keys: fingerprints.length, ageMs, outageMinutes: outageLeftMs / 60_000 },
        ]),
      ),
    };
  }

  close(): Promise<void> {
    this.#work.closed = true;
    return this.#work.keys.close();
  }

  toJSON(): unknown {
    const { application, environment, access } = this;
    return { application, environment, access, purposes: [...this.#work.options.policies.keys()] };
  }

  [inspect.custom](): string {
    return `FieldSeal ${inspect(this.toJSON(), { breakLength: Infinity })}`;
  }

  /** A statement without a value for any encrypted field seals nothing. */
  #sealingParts(rows?: readonly ValuesOfColumn[]): SealRowsParts {
    this.#work.assertOpen();
    if (this.access !== 'read-only' || rows?.every(isWithoutValues)) return this.#sealing;
    throw new SealError(
      'ERR_SEAL_READ_ONLY',
      'This field seal only reads; seal where one is attached that may write.',
    );
  }

  #openingParts(): OpenPageParts {
    this.#work.assertOpen();
    if (this.#opening !== undefined) return this.#opening;
    throw new OpenError(
      'ERR_OPEN_WRITE_ONLY',
      'This field seal only writes; open cells where one is attached that may read.',
    );
  }
}

const isWithoutValues = ({ values }: ValuesOfColumn): boolean =>
  values.every((value) => value === null || value === undefined);

/**
 * With the index key, whoever takes a web tier over finds a card number by its first and last digits in a third of a
 * second of hashing.
 * @throws ConfigError `ERR_CONFIG_INDEX_NOT_WRITE_ONLY`.
 */
function refuseIndex({ purpose, entity, field, blindIndex }: FieldDeclaration, columns: Columns): void {
  const { source } = columns.policy(purpose).index;
  if (blindIndex === undefined || (source === 'later' && blindIndex.later === true)) return;
  const [expected, got] =
    source === 'later'
      ? [
          'blindIndex: { later: true } on the field, so that its index may be made later',
          'an index that may not',
        ]
      : [`purposes.${purpose}.index 'later' where a process or a view only writes`, "'local'"];
  throw new ConfigError(
    'ERR_CONFIG_INDEX_NOT_WRITE_ONLY',
    `${entity}.${field}: a blind index that is made here needs its key here, and with it values can be guessed; ` +
      `expected ${expected}, got ${got}.`,
  );
}

function cellsToOpen(
  { cells, fingerprints, bindings, previousBindings }: CellsOfColumn,
  { cells: column, policy }: DeclaredColumn,
): CellsToOpen {
  return { column, accept: policy.accept, cells, fingerprints, bindings, previousBindings };
}
