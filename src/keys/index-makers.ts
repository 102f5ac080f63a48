/** Who makes the blind indexes of a purpose. */
import type { CellColumn } from '../cell/column.js';
import type { IndexValue } from './field-seal.js';

/** Indexes of one version: one per value, null where there is none. Values are normalised already. */
export type IndexMaker = (column: CellColumn, values: readonly unknown[]) => (IndexValue | null)[];

/**
 * By purpose, one for each version of its policy: the first one writes, all are searched. Undefined where indexes are left
 * to be made later.
 * @throws KeyError `ERR_KEY_NOT_FOUND` where the key source has no index keys; `ERR_CLOSED`.
 */
export type IndexMakers = (purpose: string) => readonly IndexMaker[] | undefined;
