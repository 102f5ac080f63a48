/** Cells that a statement returned (`RETURNING *`) and TypeORM merged into the user's objects, taken out again. */
import { siblingsOf, type EncryptedColumn } from './encrypted-column.js';
import type { Row } from './internals.js';

/** Runs a write and leaves the encrypted properties of `rows` as they were, whatever the database returned. */
export async function restorePlaintext<T extends { readonly generatedMaps: Row[] }>(
  columns: readonly EncryptedColumn[],
  rows: readonly Row[],
  write: () => Promise<T>,
): Promise<T> {
  // Listeners run inside the write and may set a field; only bytes that a driver returned are taken back.
  const before = rows.map((row) => columns.map(({ cell }): unknown => cell.getEntityValue(row)));
  const result = await write();
  rows.forEach((row, at) => {
    columns.forEach(({ cell }, i) => {
      const value: unknown = cell.getEntityValue(row);
      if (value instanceof Uint8Array && value !== before[at]![i]) cell.setEntityValue(row, before[at]![i]);
    });
  });
  for (const generated of result.generatedMaps) for (const column of columns) forget(generated, column);
  return result;
}

/** A generated value is what the database made up; a cell is not, and is no value of the field. */
function forget(generated: Row | undefined, encrypted: EncryptedColumn): void {
  if (!generated) return;
  for (const column of [encrypted.cell, ...siblingsOf(encrypted)]) {
    if (column !== encrypted.mask && column.getEntityValue(generated) !== undefined)
      column.setEntityValue(generated, undefined);
  }
}
