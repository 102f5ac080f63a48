/** Soft delete and restore: an UPDATE that sets no encrypted column, and may return the cells of its rows. */
import type { BuilderClass, WriteInternals } from './internals.js';
import { mainMetadata, type BuilderContext } from './query-builders.js';
import { withReturnedCells } from './returned-cells.js';

export function softDeleteBuilder(
  context: BuilderContext,
  Plain: BuilderClass<WriteInternals>,
): BuilderClass<WriteInternals> {
  return class FieldSealSoftDeleteQueryBuilder extends Plain {
    override execute(): ReturnType<WriteInternals['execute']> {
      const metadata = mainMetadata(this);
      const columns = metadata ? context.columnsOf(metadata) : [];
      const statement = { columns, objects: this.expressionMap.whereEntities, written: () => [] };
      return withReturnedCells(context, this, statement, () => super.execute());
    }
  };
}
