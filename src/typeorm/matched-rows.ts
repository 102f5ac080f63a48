/** What the rows that an UPDATE matches hold, read and locked before it is sent. */
import type { DataSource } from 'typeorm';
import { SealError } from '../errors.js';
import { bindingOfEntity } from './bound-columns.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata, Row, UpdateInternals } from './internals.js';
import { cellOf, type Sealed } from './sealed.js';

/** Locks what a select found until the transaction ends. SQLite has one writer, SQL Server other words. */
const LOCKS: ReadonlySet<string> = new Set(['postgres', 'cockroachdb', 'mysql', 'mariadb', 'aurora-mysql']);

/** The end of a select that is followed by an update of the same rows. */
export const lockOf = (dataSource: DataSource): string =>
  LOCKS.has(dataSource.options.type) ? ' FOR UPDATE' : '';

/** Runs both statements on one connection, in a transaction of their own where none is active. */
export async function inTransaction<T>(builder: UpdateInternals, work: () => Promise<T>): Promise<T> {
  const given = builder.queryRunner;
  const runner = builder.obtainQueryRunner();
  const isOurs = !runner.isTransactionActive;
  builder.queryRunner = runner;
  try {
    if (isOurs) await runner.startTransaction();
    const result = await work();
    if (isOurs) await runner.commitTransaction();
    return result;
  } catch (error) {
    // The first error is the one to tell; a connection that cannot roll back is gone anyway.
    if (isOurs) await runner.rollbackTransaction().catch(() => undefined);
    throw error;
  } finally {
    builder.queryRunner = given;
    if (runner !== given) await runner.release();
  }
}

/**
 * The values that the columns have in all of the rows, as an entity would hold them.
 * @throws SealError `ERR_SEAL_BINDING` when rows differ in what cells of these columns would be bound to.
 */
export function sharedValues(
  dataSource: DataSource,
  columns: readonly EncryptedColumn[],
  unknown: readonly ColumnMetadata[],
  rows: readonly Row[],
): Row {
  const hydrated = rows.map((row) => {
    const entity: Row = {};
    for (const column of unknown) {
      column.setEntityValue(entity, dataSource.driver.prepareHydratedValue(row[column.databaseName], column));
    }
    return entity;
  });
  for (const { bound, label } of columns) {
    const read = bound.filter(({ column }) => unknown.includes(column));
    if (read.length === 0) continue;
    const bindings = hydrated.map((entity) =>
      Buffer.from(bindingOfEntity(dataSource, read, entity, label)).toString('latin1'),
    );
    if (new Set(bindings).size > 1) {
      throw new SealError(
        'ERR_SEAL_BINDING',
        `${label} is bound to ${read.map(({ column }) => column.propertyPath).join(', ')}, and the update matches ` +
          `${rows.length} rows that differ in it. Update them one by one.`,
      );
    }
  }
  return hydrated[0]!;
}

/** Whether every row still holds the cell that a sealed value stands for. */
export function holdCell(rows: readonly Row[], { cell }: EncryptedColumn, sealed: Sealed): boolean {
  const bytes = cellOf(sealed);
  return (
    bytes !== undefined &&
    rows.every((row) => Buffer.from(row[cell.databaseName] as Uint8Array).equals(bytes))
  );
}
