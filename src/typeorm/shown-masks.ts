/** Masks that a statement wrote, handed to TypeORM as it handles generated values: it merges them into saved entities. */
import { setProperty } from './derived-rows.js';
import type { EncryptedColumn } from './encrypted-column.js';
import type { Row } from './internals.js';

/**
 * @param columns Those whose mask the statement wrote.
 * @param written The derived rows of the statement.
 * @param generated What TypeORM will merge into the entity of each row; filled up where it has less.
 * @param entities The caller's objects, where TypeORM merges into those by itself.
 */
export function showMasks(
  columns: readonly EncryptedColumn[],
  written: readonly Row[],
  generated: Row[],
  entities: readonly Row[],
): void {
  const masks = columns.flatMap(({ mask }) => mask ?? []);
  if (masks.length === 0) return;
  written.forEach((row, at) => {
    for (const mask of masks) {
      const shown: unknown = mask.getEntityValue(row) ?? null;
      setProperty((generated[at] ??= {}), mask, shown);
      const entity = entities[at];
      if (entity) mask.setEntityValue(entity, shown);
    }
  });
}
