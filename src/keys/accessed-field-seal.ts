/** A field seal, or a view of one: what it may do is decided once, by its access. */
import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { ConfigError, FormatError, OpenError, SealError } from '../errors.js';
import type { Columns } from './columns.js';
import { type DeclaredColumn } from './columns.js';
import { refusePools } from './field-seal-options.js';
import { FIELD_SEAL_BRAND } from './field-seal.js';
import type {
  CellsOfColumn,
  FieldColumn,
  FieldDeclaration,
  IndexValue,
  OpenedColumn,
  PreparedKeys,
  SealedColumn,
  ValuesOfColumn,
} from './field-seal.js';
import { openPage } from './open-page.js';
import type { CellsToOpen, OpenPageParts } from './open-page.js';
import { describeValue } from './options.js';
import type { Access } from './ports.js';
import { prepareKeys, prepareRows, StatementKeys } from './prepared-keys.js';
import { openPreviously } from './previously.js';
import { whenReady, type Ready } from './ready.js';
import { searchIndexes, sealRows, type SealRowsParts } from './seal-rows.js';
import { bindingOf, parseValueOptions, sealSingle, singleValue } from './single-value.js';
import type { ValueOptions } from './single-value.js';

import type { FieldSeal, FieldSealStats } from './create-field-seal.js';
import type { FieldSealWork } from './field-seal-work.js';

export class AccessedFieldSeal implements FieldSeal {
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
    const column = this.#work.columns.declare(declaration);
    // Readers need not search, and may have no right to.
    if (this.access === 'read-write') this.#work.refuseUnmadeIndex(declaration);
    return column;
  }

  async prepare(rows: readonly ValuesOfColumn[]): Promise<PreparedKeys> {
    return prepareRows(this.#sealingParts(rows), rows);
  }

  sealRows(rows: readonly ValuesOfColumn[], prepared?: PreparedKeys): readonly SealedColumn[] {
    return sealRows(this.#sealingParts(rows), rows, StatementKeys.of(prepared));
  }

  searchIndexes(column: FieldColumn, value: unknown): readonly IndexValue[] {
    this.#work.assertOpen();
    return searchIndexes(this.#sealing, column, value);
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
    const prepared = await prepareKeys(parts, [{ column: single.column, values: [value] }]);
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
  if (blindIndex === undefined || source === 'kms') return;
  if (source === 'later' && blindIndex.later === true) return;
  const [expected, got] =
    source === 'later'
      ? [
          'blindIndex: { later: true } on the field, so that its index may be made later',
          'an index that may not',
        ]
      : [
          `purposes.${purpose}.index 'later' or 'kms' where a process or a view only writes`,
          "'local', the default",
        ];
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
