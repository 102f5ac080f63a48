/** SQL that stands in the place of values: `values({ note: () => '(SELECT …)' })`. */
import type { ExpressionMapInternals, Row } from './internals.js';

/** Of an INSERT, whose text is too long to be read as a whole. A function of a property that is no column is a method. */
export function* valuesAsSql({ valuesSet, mainAlias }: ExpressionMapInternals): Iterable<string> {
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
