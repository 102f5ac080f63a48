/**
 * SQL that entities hold: checks, exclusions, conditions of indexes, generated and virtual columns. The database takes
 * it without a word, and over cells it is true, or false, whatever their values are.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import { readStatement } from './cell-uses.js';
import { isOwnCheck } from './check-constraints.js';
import { familyOf, type Family } from './column-types.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { SqlTables } from './sql-tables.js';
import { tokenizer } from './sql-tokens.js';
import { leavingCells, textOf } from './views.js';

/**
 * @param tables Tables and views of the data source.
 * @throws ConfigError `ERR_CONFIG_FIELD` naming the place of the SQL and the encrypted field.
 */
export function refuseSqlOverCells(dataSource: DataSource, tables: Pick<SqlTables, 'find'>): void {
  const family = familyOf(dataSource);
  const tokensOf = tokenizer(family);
  const alias = dataSource.driver.escape('fieldseal_row');
  for (const metadata of dataSource.entityMetadatas) {
    for (const piece of KINDS.flatMap((piecesOf) => piecesOf(metadata, family))) {
      const condition = textOf(() => piece.sql(alias));
      if (condition === '') continue;
      const refuse = (column: EncryptedColumn): never => {
        throw refusal(metadata, piece, column);
      };
      const table = tableOf(dataSource, metadata);
      // It may call the row by the name of its table, too.
      const select = `SELECT 1 FROM ${table}, ${table} ${alias} WHERE (${condition}\n)`;
      readStatement({ tables, refuse }, tokensOf(select));
    }
  }
}

interface Piece {
  /** With its name, if it has one. */
  readonly what: string;
  /** @param alias Of the row, in quotes. */
  readonly sql: (alias: string) => string;
  /** What to do instead. */
  readonly advice: string;
  readonly property?: string;
}

const KINDS: readonly ((metadata: EntityMetadata, family: Family) => readonly Piece[])[] = [
  ({ checks }) =>
    checks
      .filter((check) => !isOwnCheck(check))
      .map(({ name, expression }) => ({
        what: `a check "${name}"`,
        sql: () => expression,
        advice: 'Check values in the application, before they are sealed.',
      })),
  ({ exclusions }) =>
    exclusions.map(({ name, expression }) => ({
      what: `an exclusion "${name}"`,
      sql: () => expression,
      advice: 'To keep values unique, declare blindIndex: { unique: true }.',
    })),
  ({ indices }) =>
    indices.map(({ name, where }) => ({
      what: `an index "${name}" with a condition`,
      sql: () => where ?? '',
      advice: 'Make the condition one of plain columns.',
    })),
  ({ columns }) =>
    columns.map(({ propertyPath, asExpression }) => ({
      what: 'a generated column',
      sql: () => asExpression ?? '',
      advice: COMPUTE,
      property: propertyPath,
    })),
  // Elsewhere a default names no columns: a bare name in it is a keyword.
  ({ columns }, family) =>
    columns
      .filter((column) => family === 'mysql' && typeof column.default === 'function')
      .map((column) => ({
        what: 'a default',
        sql: column.default as () => string,
        advice: COMPUTE,
        property: column.propertyPath,
      })),
  ({ columns }) =>
    columns.map((column) => ({
      what: 'a virtual column',
      sql: (alias) => column.query?.(alias) ?? '',
      advice: 'Load the field with its entity, and compute with the opened value.',
      property: column.propertyPath,
    })),
];

const COMPUTE = 'Compute the value in the application, or use a mask of the field.';

const tableOf = ({ driver }: DataSource, { tablePath }: EntityMetadata): string =>
  tablePath
    .split('.')
    .map((name) => driver.escape(name))
    .join('.');

function refusal(
  { name }: EntityMetadata,
  { what, property, advice }: Piece,
  column: EncryptedColumn,
): ConfigError {
  const owner = property === undefined ? name : `${name}.${property}`;
  return new ConfigError(
    'ERR_CONFIG_FIELD',
    `${owner}: expected ${what} ${leavingCells(column)} IS NULL, IS NOT NULL and the columns of its blind index and mask ` +
      `work. ${advice} For SQL that is right all the same, attachFieldSeal(…, { checkRawWhere: false }) turns the reading off.`,
  );
}
