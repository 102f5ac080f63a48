/**
 * The schema builder of a data source, which throws away no value that is encrypted or is to be. TypeORM drops a column
 * whose type has changed, and adds it again empty: by `synchronize`, and by the statements of `migration:generate`.
 */
import type { DataSource } from 'typeorm';
import { ConfigError } from '../errors.js';
import type { ColumnsOf } from './encrypted-column.js';
import { driverInternals, loadedTables, override, type SchemaBuilderInternals } from './internals.js';
import { refuseLosses } from './schema-losses.js';

/**
 * Looks at every schema change before its first statement, in the same transaction.
 * @param discard Columns whose values may go, each as `table.column`.
 */
export function guardSchema(dataSource: DataSource, columnsOf: ColumnsOf, discard: readonly string[]): void {
  const driver = driverInternals(dataSource);
  const createSchemaBuilder = driver.createSchemaBuilder.bind(driver);
  override(driver, 'createSchemaBuilder', () => {
    const builder = createSchemaBuilder();
    guard(builder, () => refuseBuilding(dataSource, builder, columnsOf, new Set(discard)));
    return builder;
  });
}

/** @throws ConfigError `ERR_CONFIG_ORM` where the builder has no place for the guard: better no change than a blind one. */
function guard(builder: SchemaBuilderInternals, check: () => Promise<void>): void {
  if (typeof builder.executeSchemaSyncOperationsInProperOrder !== 'function') {
    throw new ConfigError(
      'ERR_CONFIG_ORM',
      'This version of TypeORM is not understood: its schema builder does not say when it changes tables. ' +
        'Use a supported version (docs/typeorm.md).',
    );
  }
  const change = builder.executeSchemaSyncOperationsInProperOrder.bind(builder);
  override(builder, 'executeSchemaSyncOperationsInProperOrder', async () => {
    await check();
    await change();
  });
}

async function refuseBuilding(
  dataSource: DataSource,
  builder: SchemaBuilderInternals,
  columnsOf: ColumnsOf,
  discard: ReadonlySet<string>,
): Promise<void> {
  const { queryRunner } = builder;
  const tables = loadedTables(builder);
  for (const metadata of builder.entityToSyncMetadatas) {
    const path = builder.getTablePath(metadata);
    const table = tables.find((loaded) => builder.getTablePath(loaded) === path);
    if (!table) continue;
    await refuseLosses({ dataSource, queryRunner, metadata, table, fields: columnsOf(metadata), discard });
  }
}
