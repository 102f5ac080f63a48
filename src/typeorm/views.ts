/**
 * Views over tables with encrypted columns. A view shows cells as bytes and finds nothing by them, so a view entity with
 * such a column is refused; its rows are read as raw ones and opened with `openRaw`.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import { ConfigError } from '../errors.js';
import { readStatement } from './cell-uses.js';
import { familyOf } from './column-types.js';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import { tableOf, type Output } from './sql-scope.js';
import { SqlTables, type Table } from './sql-tables.js';
import { tokenizer } from './sql-tokens.js';

/** @throws ConfigError `ERR_CONFIG_FIELD` for `@Encrypted` on a property of a view. */
export function refuseEncryptedView({ tableType }: EntityMetadata, label: string): void {
  if (tableType !== 'view') return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `${label}: an encrypted field cannot be a column of a view, whose cells belong to another table. ${openingRaw('TheEntity')}`,
  );
}

/**
 * Reads the SQL of every view, and of the views that it takes its rows from.
 * @returns The tables and views of the data source.
 * @throws ConfigError `ERR_CONFIG_FIELD` naming the view and the encrypted field whose cells it shows or computes with.
 */
export function refuseViewsOfCells(dataSource: DataSource, columnsOf: ColumnsOf): Pick<SqlTables, 'find'> {
  const views = dataSource.entityMetadatas.filter(({ tableType }) => tableType === 'view');
  const tables = new SqlTables(dataSource.entityMetadatas, columnsOf);
  const tokensOf = tokenizer(familyOf(dataSource));
  const known = new Map<EntityMetadata, readonly Output[]>();

  const find = (path: readonly string[]): Table => {
    const view = views.find(({ tableName }) => tableName.toLowerCase() === path.at(-1));
    return view ? tableOf(outputsOf(view), []) : tables.find(path);
  };
  const outputsOf = (view: EntityMetadata): readonly Output[] => {
    const read = known.get(view);
    if (read) return read;
    // A view that names itself would be read for ever.
    known.set(view, []);
    const refuse = (field: EncryptedColumn): never => {
      throw computes(view, field);
    };
    const outputs = readStatement({ tables: { find }, refuse }, tokensOf(sqlOf(dataSource, view)));
    known.set(view, outputs);
    return outputs;
  };

  for (const view of views) {
    for (const { propertyPath, databaseName } of view.columns) {
      const shown = outputsOf(view).find(({ name }) => name === databaseName.toLowerCase());
      if (shown?.cell) throw shows(`${view.name}.${propertyPath}`, shown.cell);
    }
  }
  return { find };
}

/** As TypeORM makes it when it creates the view. */
function sqlOf(dataSource: DataSource, { expression }: EntityMetadata): string {
  return typeof expression === 'function'
    ? textOf(() => expression(dataSource).getQuery())
    : (expression ?? '');
}

/** TypeORM calls what makes SQL when it needs that, so it may fail now for what is there later: nothing is known of such SQL. */
export function textOf(make: () => string): string {
  try {
    return make();
  } catch {
    return '';
  }
}

const shows = (property: string, { label, metadata }: EncryptedColumn): ConfigError =>
  new ConfigError(
    'ERR_CONFIG_FIELD',
    `${property}: expected a column that can be read from a view, got the cell of ${label}, which a view shows as bytes and ` +
      `finds nothing by. Leave it out of the entity. ${openingRaw(metadata.name)}`,
  );

const computes = ({ name }: EntityMetadata, column: EncryptedColumn): ConfigError =>
  new ConfigError(
    'ERR_CONFIG_FIELD',
    `${name}: expected a view ${leavingCells(column)} COUNT and IS NULL work. ${openingRaw(column.metadata.name)}`,
  );

export const leavingCells = ({ label }: EncryptedColumn): string =>
  `that leaves cells as they are, got SQL that computes with those of ${label}, compares or copies them; cells have no order ` +
  'and no equality.';

const openingRaw = (entity: string): string =>
  'To read it, select from the view as raw rows and open those: ' +
  `openRaw(dataSource, ${entity}, await dataSource.query('SELECT … FROM …'), { column: 'property' }).`;
