/** Cells of a page sorted by purpose, by the key they name and by byte 1, without a string per cell. */
import type { CellColumn } from './column.js';
import { formatFingerprint } from './fingerprint.js';
import type { ByteOne } from './format.js';
import { FINGERPRINT_AT, HEADER_BYTES } from './header.js';

/** Cells of one column in a group. */
export interface GroupPart<C> {
  readonly of: C;
  /** In ascending order. */
  readonly rows: number[];
}

/** Cells of one purpose that begin with the same 18 bytes. */
export interface CellGroup<C> {
  readonly purpose: string;
  /** Not authenticated before the cells are opened. */
  readonly fingerprint: string;
  readonly byteOne: ByteOne;
  readonly parts: GroupPart<C>[];
}

interface Seen<C> extends CellGroup<C> {
  readonly first: Uint8Array;
}

/**
 * By 4 bytes of the fingerprint, which differ unless somebody makes them alike; those few go by their text. Most pages
 * of a single row have one group, and make neither map nor list.
 */
export class CellGroups<C extends { readonly column: CellColumn }> {
  readonly #all: Seen<C>[] = [];
  /** By the first byte of the fingerprint the group that was found last: mostly that of the next cell that has it. */
  #near: (Seen<C> | undefined)[] | undefined;
  #byFour: Map<number, Seen<C>> | undefined;
  #alike: Map<string, Seen<C>> | undefined;
  #last: Seen<C> | undefined;

  get all(): readonly CellGroup<C>[] {
    return this.#all;
  }

  /** The cells of one column one after another, each row once, in ascending order. */
  add(of: C, row: number, cell: Uint8Array, byteOne: ByteOne): void {
    const { purpose } = of.column;
    let group = this.#last;
    if (group === undefined || !isOf(group, purpose, cell)) {
      group = this.#near?.[cell[FINGERPRINT_AT]!];
      if (group === undefined || !isOf(group, purpose, cell)) group = this.#find(purpose, cell, byteOne);
      this.#last = group;
    }
    const { parts } = group;
    const part = parts[parts.length - 1];
    if (part?.of === of) part.rows.push(row);
    else parts.push({ of, rows: [row] });
  }

  #find(purpose: string, cell: Uint8Array, byteOne: ByteOne): Seen<C> {
    if (this.#last === undefined) return this.#begin(purpose, cell, byteOne);
    this.#byFour ??= new Map([[fourOf(this.#last.first), this.#last]]);
    this.#near ??= new Array<Seen<C> | undefined>(256).fill(undefined);
    const four = fourOf(cell);
    let found = this.#byFour.get(four);
    if (found === undefined) this.#byFour.set(four, (found = this.#begin(purpose, cell, byteOne)));
    else if (!isOf(found, purpose, cell)) return this.#findAlike(purpose, cell, byteOne);
    this.#near[cell[FINGERPRINT_AT]!] = found;
    return found;
  }

  #findAlike(purpose: string, cell: Uint8Array, byteOne: ByteOne): Seen<C> {
    const text = `${byteOne.byte} ${formatFingerprint(cell, FINGERPRINT_AT)} ${purpose}`;
    this.#alike ??= new Map();
    let seen = this.#alike.get(text);
    if (seen === undefined) this.#alike.set(text, (seen = this.#begin(purpose, cell, byteOne)));
    return seen;
  }

  #begin(purpose: string, cell: Uint8Array, byteOne: ByteOne): Seen<C> {
    const fingerprint = formatFingerprint(cell, FINGERPRINT_AT);
    const seen: Seen<C> = { purpose, fingerprint, byteOne, parts: [], first: cell };
    this.#all.push(seen);
    return seen;
  }
}

const fourOf = (cell: Uint8Array): number => (cell[2]! << 24) | (cell[3]! << 16) | (cell[4]! << 8) | cell[5]!;

/** By purpose, byte 1 and fingerprint. */
function isOf<C>({ purpose, first }: Seen<C>, ofPurpose: string, cell: Uint8Array): boolean {
  for (let i = HEADER_BYTES - 1; i >= 1; i--) if (cell[i] !== first[i]) return false;
  return purpose === ofPurpose;
}
