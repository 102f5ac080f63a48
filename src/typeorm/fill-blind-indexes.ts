/** Blind indexes of rows that a write-only process wrote, made afterwards where the index key may be. */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError, OpenError } from '../errors.js';
import type { FieldSealPages } from '../keys/field-seal.js';
import { parseOptions, wholeNumber, withDefault } from '../keys/options.js';
import { attachmentOf } from './attach.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, Row } from './internals.js';
import { makeOpener } from './opener.js';
import { openPage } from './page.js';
import { isSealed } from './sealed.js';
import { OpenedValue } from './transformer.js';

export interface FillOptions {
  /** Rows that are read and opened at a time. Default 500, 1 to 10,000. */
  readonly rows?: number;
}

export interface FilledIndexes {
  /** Rows that have their index now. */
  readonly filled: number;
  /** Rows whose cell could not be opened; they are left as they were. */
  readonly unopenable: number;
  /** Rows with the value of another row in a unique index; they are left without theirs. */
  readonly duplicates: number;
}

const OPTIONS = { rows: withDefault(wholeNumber(1, 10_000), 500) };

/**
 * Makes every index that is missing in the tables of this data source, for fields with `blindIndex: { later: true }`. To
 * be run by a job of a tier that reads, again and again; a second one beside it does no harm. Each row is written by a
 * statement of its own, and only if its cell is still the one that was opened: no row is locked in between.
 *
 * @param seal The field seal that the data source is attached to.
 * @throws ConfigError `ERR_CONFIG_ORM` for another one; `ERR_CONFIG_OPTION`; OpenError `ERR_OPEN_WRITE_ONLY` for one that
 * only writes; KeyError where there is no index key; errors of the database.
 */
export async function fillBlindIndexes(
  dataSource: DataSource,
  seal: FieldSealPages,
  options: FillOptions = {},
): Promise<FilledIndexes> {
  const { rows } = parseOptions(OPTIONS, options, 'fillBlindIndexes');
  const attachment = attachmentOf(dataSource);
  if (attachment.seal !== seal) throw notAttachedTo();
  if (seal.access === 'write-only') throw writesOnly();
  const total = { filled: 0, unopenable: 0, duplicates: 0 };
  for (const metadata of dataSource.entityMetadatas) {
    // Its table is that of its parent, which has all the columns.
    if (metadata.tableType === 'entity-child') continue;
    for (const column of attachment.columnsOf(metadata)) {
      if (column.isIndexedLater) await new IndexFiller(dataSource, seal, metadata, column).fill(rows, total);
    }
  }
  return total;
}

type Totals = { -readonly [Name in keyof FilledIndexes]: number };

/** One column of one table, page by page in the order of its primary key. */
class IndexFiller {
  readonly #dataSource: DataSource;
  readonly #seal: FieldSealPages;
  readonly #metadata: EntityMetadata;
  readonly #column: EncryptedColumn;

  constructor(
    dataSource: DataSource,
    seal: FieldSealPages,
    metadata: EntityMetadata,
    column: EncryptedColumn,
  ) {
    this.#dataSource = dataSource;
    this.#seal = seal;
    this.#metadata = metadata;
    this.#column = column;
  }

  async fill(limit: number, total: Totals): Promise<void> {
    let rows: Row[] = [];
    do {
      rows = await this.#read(limit, rows.at(-1));
      const cells = rows.map((row) => row[this.#column.cell.databaseName]);
      await this.#open(rows);
      for (const [i, row] of rows.entries()) total[await this.#write(row, cells[i])] += 1;
    } while (rows.length === limit);
  }

  /** Behind the last row that was read: those that cannot be filled are not read again. */
  #read(limit: number, last: Row | undefined): Promise<Row[]> {
    const { cell, key, index, bound } = this.#column;
    const keys = this.#metadata.primaryColumns;
    const columns = new Set([...keys, cell, key, ...bound.map(({ column }) => column)]);
    const names = keys.map((column) => this.#name(column));
    const parameters: unknown[] = [];
    const values = last && keys.map((column) => this.#parameter(parameters, last[column.databaseName]));
    const behind = values === undefined ? '' : ` AND (${names.join(', ')}) > (${values.join(', ')})`;
    const sql =
      `SELECT ${[...columns].map((column) => this.#name(column)).join(', ')} FROM ${this.#table()} ` +
      `WHERE ${this.#name(index!)} IS NULL AND ${this.#name(cell)} IS NOT NULL${behind} ` +
      `ORDER BY ${names.join(', ')} LIMIT ${limit}`;
    return this.#dataSource.query(sql, parameters);
  }

  async #open(rows: readonly Row[]): Promise<void> {
    const { cell, key } = this.#column;
    await openPage(
      makeOpener(this.#seal, 'sealed'),
      this.#seal,
      [
        {
          column: this.#column,
          rawName: cell.databaseName,
          keyName: key.databaseName,
          rawNameOf: (column) => column.databaseName,
          searchedBy: undefined,
        },
      ],
      rows,
      false,
    );
  }

  async #write(row: Row, stored: unknown): Promise<keyof FilledIndexes> {
    const { cell, index, handle } = this.#column;
    const opened = row[cell.databaseName];
    if (!(opened instanceof OpenedValue) || isSealed(opened.value)) return 'unopenable';
    const parameters: unknown[] = [];
    const [made] = this.#seal.searchIndexes(handle, opened.value);
    const set = `${this.#name(index!)} = ${this.#parameter(parameters, made)}`;
    const where = [
      ...this.#metadata.primaryColumns.map((column) => [column, row[column.databaseName]] as const),
      [cell, stored] as const,
    ].map(([column, value]) => `${this.#name(column)} = ${this.#parameter(parameters, value)}`);
    const sql = `UPDATE ${this.#table()} SET ${set} WHERE ${where.join(' AND ')} AND ${this.#name(index!)} IS NULL`;
    try {
      await this.#dataSource.query(sql, parameters);
      return 'filled';
    } catch (error) {
      if (isDuplicate(error)) return 'duplicates';
      throw error;
    }
  }

  #parameter(parameters: unknown[], value: unknown): string {
    parameters.push(value);
    return this.#dataSource.driver.createParameter('', parameters.length - 1);
  }

  #name({ databaseName }: ColumnMetadata): string {
    return this.#dataSource.driver.escape(databaseName);
  }

  #table(): string {
    const { driver } = this.#dataSource;
    return this.#metadata.tablePath
      .split('.')
      .map((part) => driver.escape(part))
      .join('.');
  }
}

/** Of a unique index, as PostgreSQL, the MySQL family and SQLite tell it. */
function isDuplicate(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return code === '23505' || code === 'ER_DUP_ENTRY' || /UNIQUE constraint failed/u.test(String(message));
}

function notAttachedTo(): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_ORM',
    'fillBlindIndexes: expected the field seal that the DataSource is attached to, got another one.',
  );
}

function writesOnly(): OpenError {
  return new OpenError(
    'ERR_OPEN_WRITE_ONLY',
    'fillBlindIndexes: expected a field seal that opens cells and has index keys, got one that only writes.',
  );
}
