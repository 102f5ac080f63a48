/**
 * CHECK constraints for fields that ask for one: the database itself keeps plaintext, and a fingerprint that is missing
 * or belongs to another cell, out of the table, whoever writes.
 */
import type { DataSource, EntityMetadata } from 'typeorm';
import type { ColumnsOf, EncryptedColumn } from './encrypted-column.js';
import { checkMetadata } from './internals.js';

/** The database with the functions of the expression. TypeORM makes no CHECK on MySQL at all. */
const CHECKING = 'postgres';

type Check = EntityMetadata['checks'][number];

/** Adds the constraints to metadata that was built, for schema sync and migrations; names on the log where there are none. */
export function addChecks(dataSource: DataSource, columnsOf: ColumnsOf): void {
  const isChecking = dataSource.options.type === CHECKING;
  const left: string[] = [];
  for (const metadata of dataSource.entityMetadatas) {
    // Its table is that of its parent, which has all the columns.
    if (metadata.tableType === 'entity-child') continue;
    for (const column of columnsOf(metadata)) {
      if (!column.isChecked) continue;
      if (isChecking) addCheck(dataSource, metadata, column);
      else left.push(column.label);
    }
  }
  if (left.length === 0) return;
  dataSource.logger.log(
    'warn',
    `fieldseal: check is for PostgreSQL only; ${dataSource.options.type} will take whatever is written to the columns of ${left.join(', ')}.`,
  );
}

function addCheck(dataSource: DataSource, metadata: EntityMetadata, column: EncryptedColumn): void {
  const expression = checkExpression(dataSource, column);
  const name = dataSource.namingStrategy.checkConstraintName(metadata.tableName, expression);
  const check = checkMetadata(metadata, name, expression);
  own.add(check);
  metadata.checks.push(check);
}

const own = new WeakSet<Check>();

/** Whether it was added here; the metadata of a data source that is attached twice, for the schema at first, has it already. */
export const isOwnCheck = (check: Check): boolean => own.has(check);

/**
 * A cell begins with 0xF5, then a byte, then the fingerprint. CASE, because it alone fixes the order of evaluation:
 * `get_byte` of an empty value is an error that would hide the constraint's name.
 */
function checkExpression({ driver }: DataSource, { cell, key }: EncryptedColumn): string {
  const [cellName, keyName] = [driver.escape(cell.databaseName), driver.escape(key.databaseName)];
  return (
    `CASE WHEN ${cellName} IS NULL THEN ${keyName} IS NULL ` +
    `WHEN ${keyName} IS NULL OR octet_length(${cellName}) < 18 THEN false ` +
    `ELSE get_byte(${cellName}, 0) = 245 AND substring(${cellName} FROM 3 FOR 16) = uuid_send(${keyName}) END`
  );
}
