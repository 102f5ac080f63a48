/** Names of encrypted columns in raw rows. TypeORM has one rule for them, by which it also hydrates. */
import type { EncryptedColumn } from './encrypted-column.js';
import type { ColumnMetadata } from './internals.js';

/** Undefined where the rule gives a name that the database would cut. */
export interface RawNames {
  readonly column: EncryptedColumn;
  readonly cell: string | undefined;
  readonly key: string | undefined;
}

/** Aliases whose names are kept: an application may make one up for each query. */
const MAX_ALIASES = 1_000;

/**
 * The names under one alias after another. They are kept, since a string that was made anew has to be looked up among
 * all property names before a row can be read by it.
 * @param maxLength Longest name of the database; 0 where it has no limit.
 */
export function rawNames(
  maxLength: number,
): (alias: string, columns: readonly EncryptedColumn[]) => readonly RawNames[] {
  const byAlias = new Map<string, readonly RawNames[]>();
  return (alias, columns) => {
    const known = byAlias.get(alias);
    if (known?.[0]?.column === columns[0] && known?.length === columns.length) return known;
    if (byAlias.size >= MAX_ALIASES) byAlias.clear();
    const nameOf = ({ databaseName }: ColumnMetadata): string | undefined => {
      const name = `${alias}_${databaseName}`;
      return maxLength === 0 || name.length <= maxLength ? name : undefined;
    };
    const names = columns.map((column) => ({ column, cell: nameOf(column.cell), key: nameOf(column.key) }));
    byAlias.set(alias, names);
    return names;
  };
}
