/** Cells of a page sorted by the key they name and by byte 1, without a string per cell. */
import { formatFingerprint } from './fingerprint.js';
import { type ByteOne, byteOneOf } from './format.js';
import { FINGERPRINT_AT, HEADER_BYTES } from './header.js';

/** Cells that begin with the same 18 bytes. */
export interface CellGroup {
  /** Not authenticated before the cells are opened. */
  readonly fingerprint: string;
  readonly byteOne: ByteOne;
  /** In ascending order. */
  readonly rows: number[];
}

export interface GroupedCells {
  readonly groups: readonly CellGroup[];
  /** Rows whose bytes are not a cell. Rows without bytes are nowhere. */
  readonly malformed: readonly number[];
  /** Rows with bytes. */
  readonly cells: number;
}

export function groupCells(cells: readonly (Uint8Array | null | undefined)[]): GroupedCells {
  const groups = new Groups();
  const malformed: number[] = [];
  let count = 0;
  for (let row = 0; row < cells.length; row++) {
    const cell = cells[row];
    if (!cell) continue;
    count += 1;
    const byteOne = byteOneOf(cell);
    if (byteOne) groups.of(cell, byteOne).rows.push(row);
    else malformed.push(row);
  }
  return { groups: groups.all, malformed, cells: count };
}

interface Seen extends CellGroup {
  readonly first: Uint8Array;
}

/**
 * By 4 bytes of the fingerprint, which differ unless somebody makes them alike; those few go by their text. Most pages
 * of a single row have one group, and make no map.
 */
class Groups {
  readonly all: Seen[] = [];
  #byFour: Map<number, Seen> | undefined;
  #alike: Map<string, Seen> | undefined;
  #last: Seen | undefined;

  of(cell: Uint8Array, byteOne: ByteOne): Seen {
    if (this.#last === undefined || !beginsAs(cell, this.#last.first)) this.#last = this.#find(cell, byteOne);
    return this.#last;
  }

  #find(cell: Uint8Array, byteOne: ByteOne): Seen {
    if (this.#last === undefined) return this.#begin(cell, byteOne);
    this.#byFour ??= new Map([[fourOf(this.#last.first), this.#last]]);
    const four = fourOf(cell);
    const found = this.#byFour.get(four);
    if (found === undefined) {
      const seen = this.#begin(cell, byteOne);
      this.#byFour.set(four, seen);
      return seen;
    }
    return beginsAs(cell, found.first) ? found : this.#findAlike(cell, byteOne);
  }

  #findAlike(cell: Uint8Array, byteOne: ByteOne): Seen {
    const text = `${byteOne.byte} ${formatFingerprint(cell, FINGERPRINT_AT)}`;
    this.#alike ??= new Map();
    let seen = this.#alike.get(text);
    if (seen === undefined) this.#alike.set(text, (seen = this.#begin(cell, byteOne)));
    return seen;
  }

  #begin(cell: Uint8Array, byteOne: ByteOne): Seen {
    const seen = {
      fingerprint: formatFingerprint(cell, FINGERPRINT_AT),
      byteOne,
      rows: [] as number[],
      first: cell,
    };
    this.all.push(seen);
    return seen;
  }
}

const fourOf = (cell: Uint8Array): number => (cell[2]! << 24) | (cell[3]! << 16) | (cell[4]! << 8) | cell[5]!;

/** Byte 1 and fingerprint. */
function beginsAs(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = HEADER_BYTES - 1; i >= 1; i--) if (a[i] !== b[i]) return false;
  return true;
}
