/** SQL by hand in an INSERT, whose text is too long to be read as a whole: its values may fill megabytes. */
import type { ExpressionMapInternals, InsertInternals, Row } from './internals.js';

/** As statements that hold nothing else. */
export function* handwrittenIn(builder: InsertInternals): Iterable<string> {
  for (const value of valuesAsSql(builder.expressionMap)) yield `UPDATE inserted SET value = ${value}`;
  const tail = conflictIn(builder) + returningIn(builder);
  if (tail === '') return;
  const table = builder.getTableName(builder.getMainTableName());
  yield `INSERT INTO ${table} AS ${builder.escape(builder.alias)} DEFAULT VALUES${tail}`;
}

/** `onConflict('(id) DO UPDATE …')`, and the conditions of an upsert. */
function conflictIn(builder: InsertInternals): string {
  const { onConflict, onUpdate } = builder.expressionMap;
  if (onConflict) return ` ON CONFLICT ${onConflict}`;
  const { indexPredicate, overwriteCondition = [] } = onUpdate ?? {};
  const index = indexPredicate ? ` WHERE (${indexPredicate})` : '';
  const condition =
    overwriteCondition.length > 0 ? ` WHERE ${builder.createWhereClausesExpression(overwriteCondition)}` : '';
  return index || condition ? ` ON CONFLICT ()${index} DO UPDATE SET value = 1${condition}` : '';
}

function returningIn({ expressionMap: { returning } }: InsertInternals): string {
  return typeof returning === 'string' && returning !== '' ? ` RETURNING ${returning}` : '';
}

/** `values({ note: () => '(SELECT …)' })`. A function of a property that is no column is a method. */
function* valuesAsSql({ valuesSet, mainAlias }: ExpressionMapInternals): Iterable<string> {
  if (typeof valuesSet !== 'object' || valuesSet === null || !mainAlias?.hasMetadata) return;
  // Reading a lazy relation would start a query.
  const columns = mainAlias.metadata.columns.filter(
    ({ isVirtual, relationMetadata }) => !isVirtual && !relationMetadata?.isLazy,
  );
  for (const row of Array.isArray(valuesSet) ? (valuesSet as readonly Row[]) : [valuesSet as Row]) {
    for (const column of columns) {
      const value: unknown = column.embeddedMetadata ? column.getEntityValue(row) : row[column.propertyName];
      if (typeof value === 'function') yield String((value as () => unknown)());
    }
  }
}
