/** Names of columns in raw rows. TypeORM has one rule for them, by which it also hydrates. */
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata } from './internals.js';
import { PerEntity } from './per-entity.js';

/** Undefined where the rule gives a name that the database would cut. */
export type RawNameIn = (alias: string, column: ColumnMetadata) => string | undefined;

export interface RawNames {
  readonly column: EncryptedColumn;
  readonly cell: string | undefined;
  readonly key: string | undefined;
}

/** @param maxLength Longest name of the database; 0 where it has no limit. */
export function rawNameIn(maxLength: number): RawNameIn {
  return (alias, { databaseName }) => {
    const name = `${alias}_${databaseName}`;
    return maxLength === 0 || name.length <= maxLength ? name : undefined;
  };
}

/**
 * The names under one alias after another. They are kept, since a string that was made anew has to be looked up among
 * all property names before a row can be read by it.
 */
export function rawNames(
  nameIn: RawNameIn,
): (alias: string, columns: readonly EncryptedColumn[]) => readonly RawNames[] {
  const kept = new PerEntity<readonly RawNames[]>();
  return (alias, columns) =>
    kept.get(columns[0]!.metadata, alias, () =>
      columns.map((column) => ({
        column,
        cell: nameIn(alias, column.cell),
        key: nameIn(alias, column.key),
      })),
    );
}
