/** What a change of one table would lose although no statement of it fails. */
import { types } from 'node:util';
import type { DataSource, EntityMetadata, QueryRunner, Table, TableColumn } from 'typeorm';
import { byteOneOf } from '../cell/format.js';
import { ConfigError } from '../errors.js';
import { familyOf } from './column-types.js';
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, Row } from './internals.js';

/** A table as the database has it, and as its entity asks for it. */
export interface TableChange {
  readonly dataSource: DataSource;
  readonly queryRunner: QueryRunner;
  readonly metadata: EntityMetadata;
  readonly table: Table;
  readonly fields: readonly EncryptedColumn[];
  /** Columns whose values may go, each as `table.column`. */
  readonly discard: ReadonlySet<string>;
}

const GUIDE = 'docs/existing-table.md shows how a table with rows becomes encrypted';
const BY_HAND =
  'Rename the old column in a migration of your own (queryRunner.renameColumn), with the `context` of its field pinned';

/**
 * @throws ConfigError `ERR_CONFIG_PLAINTEXT_COLUMN` where values stand in the place of an encrypted field,
 *   `ERR_CONFIG_CELL_COLUMN` where cells, or what they need beside them, would go, `ERR_CONFIG_FIELD` where the database
 *   would make up cells.
 */
export async function refuseLosses(change: TableChange): Promise<void> {
  const { metadata, table, fields } = change;
  const asked = metadata.columns.filter(({ isVirtualProperty }) => !isVirtualProperty);
  for (const stored of table.columns) {
    const column = asked.find(({ databaseName }) => databaseName === stored.name);
    if (!column) await refuseDrop(change, stored);
    else if (isReplaced(change, stored, column)) await refuseReplacement(change, stored, column);
  }
  for (const field of fields) await refuseEmptyColumns(change, field);
}

/** TypeORM compares the same three and never converts: to it, another length is another column. */
function isReplaced(
  { dataSource: { driver } }: TableChange,
  stored: TableColumn,
  column: ColumnMetadata,
): boolean {
  return (
    stored.type !== driver.normalizeType(column) ||
    stored.length !== driver.getColumnLength(column) ||
    stored.isArray !== column.isArray
  );
}

async function refuseReplacement(
  change: TableChange,
  stored: TableColumn,
  column: ColumnMetadata,
): Promise<void> {
  const field = change.fields.find((one) => partsOf(one).includes(column));
  // SQLite copies the values as they are into the new column, where they would stay as plaintext among cells.
  const isCopied = field !== undefined && familyOf(change.dataSource) === 'sqlite';
  if (isDiscarded(change, stored) && !isCopied) return;
  const value = await someValue(change, stored.name);
  if (value === undefined) return;
  const holds = `it holds values of type ${typeOf(stored)}, and ${typeAsked(change, column)} is asked for`;
  if (field) {
    const todo = field.cell === column ? GUIDE : `Give that column another name first. ${GUIDE}`;
    const last = isCopied ? 'If the values may go: set them to NULL first' : mayGo(change, stored);
    throw plaintext(
      change,
      stored.name,
      `${holds} by the encrypted field ${field.label}`,
      `${todo}. ${last}`,
    );
  }
  if (isCell(value)) {
    const why = `${holds}; those are cells, which the change would drop`;
    throw cells(change, stored.name, why, `Open them into another column first. ${mayGo(change, stored)}`);
  }
  const bound = change.fields.find((one) => one.bound.some((binding) => binding.column === column));
  if (!bound || !isCell(await someValue(change, bound.cell.databaseName))) return;
  const why = `${holds}; the change would drop them, and the cells of ${bound.label} are bound to them`;
  throw cells(
    change,
    stored.name,
    why,
    'Change the type in a migration of your own, by an ALTER that keeps the values',
  );
}

async function refuseDrop(change: TableChange, stored: TableColumn): Promise<void> {
  if (isDiscarded(change, stored)) return;
  const value = await someValue(change, stored.name);
  if (isCell(value)) {
    const why = `it holds cells (${typeOf(stored)}), and no column of that name is asked for; the change would drop them`;
    throw cells(change, stored.name, why, `${BY_HAND}. ${mayGo(change, stored)}`);
  }
  const added = change.fields.find(({ cell }) => !isStored(change, cell));
  if (value === undefined || !added) return;
  throw plaintext(
    change,
    stored.name,
    `it holds values of type ${typeOf(stored)} and would be dropped, while ${added.cell.databaseName} ` +
      `(${typeAsked(change, added.cell)}) is added for the encrypted field ${added.label}`,
    'Keep it mapped until its values have moved; if it has nothing to do with that field, drop it in a migration of its own, ' +
      `before or after. ${GUIDE}. ${mayGo(change, stored)}`,
  );
}

/** New columns of a field beside rows that have nothing to put in. */
async function refuseEmptyColumns(change: TableChange, field: EncryptedColumn): Promise<void> {
  const { cell, label } = field;
  const added = partsOf(field).filter((column) => !isStored(change, column));
  const required = added.find(({ isNullable }) => !isNullable);
  if (required && familyOf(change.dataSource) === 'mysql' && (await hasRows(change))) {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${place(change, required.databaseName)}: the table has rows, and the database would give each of them an empty value, ` +
        `which is none of ${label}. Declare the field nullable until every row has a value. ${GUIDE}.`,
    );
  }
  const stored = change.table.columns.find(({ name }) => name === cell.databaseName);
  const missing = neededBeside(field).find(({ column }) => column && added.includes(column));
  // What stands in a column that is replaced was looked at already, and goes.
  if (!stored || isReplaced(change, stored, cell) || !missing?.column) return;
  if (!isCell(await someValue(change, cell.databaseName))) return;
  const why = `it would stand empty beside the cells of ${label}${missing.without}`;
  throw cells(change, missing.column.databaseName, why, missing.todo);
}

interface Needed {
  readonly column: ColumnMetadata | undefined;
  /** What comes of it where the column is empty. */
  readonly without: string;
  readonly todo: string;
}

const neededBeside = ({ cell, key, index, mask, isIndexedLater }: EncryptedColumn): readonly Needed[] => [
  { column: key, without: '', todo: BY_HAND },
  {
    column: isIndexedLater ? undefined : index,
    without: ', which no search would find',
    todo: 'Declare `blindIndex: { later: true }` and run fillBlindIndexes',
  },
  {
    column: mask,
    without: ', whose rows would show no mask',
    todo:
      'Add it in a migration of your own (queryRunner.addColumn), as one that may be null, then write every value again: ' +
      `update({ id }, { ${cell.propertyName}: value })`,
  },
];

const partsOf = (field: EncryptedColumn): readonly ColumnMetadata[] => [field.cell, ...siblingsOf(field)];

const isStored = ({ table }: TableChange, { databaseName }: ColumnMetadata): boolean =>
  table.columns.some(({ name }) => name === databaseName);

const place = ({ metadata }: TableChange, column: string): string => `${metadata.tablePath}.${column}`;

const isDiscarded = (change: TableChange, { name }: TableColumn): boolean =>
  change.discard.has(place(change, name));

const mayGo = (change: TableChange, { name }: Pick<TableColumn, 'name'>): string =>
  `If the values may go: attachFieldSeal(…, { discardColumns: ['${place(change, name)}'] })`;

function typeOf({ type, length, isArray }: Pick<TableColumn, 'type' | 'length' | 'isArray'>): string {
  return `${type}${length ? `(${length})` : ''}${isArray ? '[]' : ''}`;
}

function typeAsked({ dataSource: { driver } }: TableChange, column: ColumnMetadata): string {
  const { isArray } = column;
  return typeOf({ type: driver.normalizeType(column), length: driver.getColumnLength(column), isArray });
}

/** One value of a column; undefined where all are NULL. Rows that are marked as deleted count. */
async function someValue(change: TableChange, column: string): Promise<unknown> {
  const { driver } = change.dataSource;
  const name = driver.escape(column);
  const [row] = await select(change, `${name} AS ${driver.escape('value')}`, ` WHERE ${name} IS NOT NULL`);
  if (row === undefined) await refuseHiddenRows(change, column);
  return row?.['value'];
}

const hasRows = async (change: TableChange): Promise<boolean> => (await select(change, '1', '')).length > 0;

async function select(change: TableChange, what: string, where: string): Promise<Row[]> {
  const sql = `SELECT ${what} FROM ${tableOf(change)}${where} LIMIT 1`;
  return (await change.queryRunner.query(sql)) as Row[];
}

const tableOf = ({ dataSource: { driver }, metadata }: TableChange): string =>
  metadata.tablePath
    .split('.')
    .map((name) => driver.escape(name))
    .join('.');

/** Row-level security leaves rows out without a word; a column is not empty because this role sees none of its values. */
async function refuseHiddenRows(change: TableChange, column: string): Promise<void> {
  if (change.dataSource.options.type !== 'postgres') return;
  const [answer] = (await change.queryRunner.query('SELECT row_security_active($1::regclass) AS active', [
    tableOf(change),
  ])) as Row[];
  if (answer?.['active'] !== true) return;
  throw new ConfigError(
    'ERR_CONFIG_PLAINTEXT_COLUMN',
    `${place(change, column)}: expected to see all rows before the column changes, and row-level security may hide some from ` +
      'this role: what they hold would be lost. Change the schema as a role with BYPASSRLS, or take FORCE ROW LEVEL SECURITY ' +
      `off the table for the migration. ${mayGo(change, { name: column })}.`,
  );
}

const isCell = (value: unknown): boolean => types.isUint8Array(value) && byteOneOf(value) !== undefined;

const plaintext = (change: TableChange, column: string, why: string, todo: string): ConfigError =>
  new ConfigError(
    'ERR_CONFIG_PLAINTEXT_COLUMN',
    `${place(change, column)}: ${why}; the change would lose them. ${todo}.`,
  );

const cells = (change: TableChange, column: string, why: string, todo: string): ConfigError =>
  new ConfigError('ERR_CONFIG_CELL_COLUMN', `${place(change, column)}: ${why}. ${todo}.`);
