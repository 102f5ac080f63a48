/** Rows of a page sorted by the key and byte 1 of their cells. */
import type { DataKey } from './data-key.js';

export interface KeyGroup {
  readonly key: DataKey;
  readonly byteOne: number;
  /** In ascending order. */
  readonly rows: number[];
}

/** Plain arrays of small numbers: nothing else is allocated per row. */
export class KeyGroups {
  readonly groups: KeyGroup[] = [];
  /** Made for the second group; most pages of few rows have one. */
  #byKey: Map<DataKey, KeyGroup[]> | undefined;
  #last: KeyGroup | undefined;

  /** Each row once, in ascending order. */
  add(row: number, key: DataKey, byteOne: number): void {
    const last = this.#last;
    if (last !== undefined && last.key === key && last.byteOne === byteOne) {
      last.rows.push(row);
      return;
    }
    const group = this.#find(key, byteOne) ?? this.#begin(key, byteOne);
    group.rows.push(row);
    this.#last = group;
  }

  #find(key: DataKey, byteOne: number): KeyGroup | undefined {
    return this.#byKey?.get(key)?.find((group) => group.byteOne === byteOne);
  }

  #begin(key: DataKey, byteOne: number): KeyGroup {
    const group: KeyGroup = { key, byteOne, rows: [] };
    this.groups.push(group);
    if (this.groups.length === 1) return group;
    const byKey = (this.#byKey ??= new Map([[this.groups[0]!.key, [this.groups[0]!]]]));
    const ofKey = byKey.get(key);
    if (ofKey) ofKey.push(group);
    else byKey.set(key, [group]);
    return group;
  }
}
