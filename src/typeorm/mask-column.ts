/**
 * The mask of a field as a column of TypeORM: read, searched and ordered like any other, and `update: false`, so that the
 * dirty check never finds a reason for an UPDATE in it. Only the statement that writes the cell writes the mask.
 */
import { SealError } from '../errors.js';
import type { EncryptedColumn } from './encrypted-column.js';
import { columnInternals } from './internals.js';

// Registered, so that a marker of another copy of the package is recognised.
const brand = Symbol.for('fieldseal/mask');

/** Marks the mask column of a field until a data source is attached; lets nothing be written or searched. */
export class MaskMark {
  readonly [brand] = true;

  to(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    throw new SealError(
      'ERR_SEAL_NOT_ATTACHED',
      'A mask cannot be written or searched: its DataSource is not attached to a field seal. ' +
        'Call attachFieldSeal(dataSource, seal) before the first query.',
    );
  }

  from(value: unknown): unknown {
    return value;
  }
}

export const isMaskMark = (transformer: unknown): boolean =>
  typeof transformer === 'object' && transformer !== null && brand in transformer;

/** Makes the SQL of an UPDATE that may set masks. Synchronous, so nobody else sees the columns changed. */
export function writingMasks(columns: readonly EncryptedColumn[], makeSql: () => string): string {
  const masks = columns.flatMap(({ mask }) => (mask ? [columnInternals(mask)] : []));
  for (const mask of masks) mask.isUpdate = true;
  try {
    return makeSql();
  } finally {
    for (const mask of masks) mask.isUpdate = false;
  }
}
