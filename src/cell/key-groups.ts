/** Rows of a page sorted by the key of their cells. */
import type { DataKey } from './data-key.js';

export interface KeyGroup {
  readonly key: DataKey;
  /** In ascending order. */
  readonly rows: number[];
}

/** Plain arrays of small numbers: nothing else is allocated per row. */
export class KeyGroups {
  readonly groups: KeyGroup[] = [];
  /** Made for the second group; most pages of few rows have one. */
  #byKey: Map<DataKey, KeyGroup> | undefined;
  #last: KeyGroup | undefined;

  /** Each row once, in ascending order. */
  add(row: number, key: DataKey): void {
    let group = this.#last;
    if (group === undefined || group.key !== key)
      this.#last = group = this.#byKey?.get(key) ?? this.#begin(key);
    group.rows.push(row);
  }

  #begin(key: DataKey): KeyGroup {
    const group: KeyGroup = { key, rows: [] };
    this.groups.push(group);
    if (this.groups.length === 1) return group;
    this.#byKey ??= new Map([[this.groups[0]!.key, this.groups[0]!]]);
    this.#byKey.set(key, group);
    return group;
  }
}
