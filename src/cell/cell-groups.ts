/** Cells of a page sorted by purpose, by byte 1, and by the key that they name and carry, without a string per cell. */
import type { CellColumn } from './column.js';
import { formatFingerprint } from './fingerprint.js';
import { type ByteOne, headerEnd } from './format.js';
import { FINGERPRINT_AT, HEADER_BYTES } from './header.js';

/** Cells of one column in a group. */
export interface GroupPart<C> {
  readonly of: C;
  /** In ascending order. */
  readonly rows: number[];
}

/** Cells of one purpose that begin with the same bytes up to their nonce. */
export interface CellGroup<C> {
  readonly purpose: string;
  /** Not authenticated before the cells are opened. */
  readonly fingerprint: string;
  readonly byteOne: ByteOne;
  /** The delivery header, for `byteOne.layout.parse`; a view, empty for pool delivery. Never authenticated. */
  readonly header: Uint8Array;
  readonly parts: GroupPart<C>[];
}

interface Seen<C> extends CellGroup<C> {
  readonly first: Uint8Array;
  /** The first cell up to its nonce; empty for pool delivery. */
  readonly head: Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * By 4 bytes of the fingerprint or the header, which differ unless somebody makes them alike; those few go by their text.
 * Most pages of a single row have one group, and make neither map nor list.
 */
export class CellGroups<C extends { readonly column: CellColumn }> {
  readonly #all: Seen<C>[] = [];
  /** By one byte of those 4 the group that was found last: mostly that of the next cell that has it. */
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
    const end = headerEnd(cell, byteOne);
    let group = this.#last;
    if (group === undefined || !isOf(group, purpose, cell, end)) {
      group = this.#near?.[cell[tellingAt(end)]!];
      if (group === undefined || !isOf(group, purpose, cell, end))
        group = this.#find(purpose, cell, byteOne, end);
      this.#last = group;
    }
    const { parts } = group;
    const part = parts[parts.length - 1];
    if (part?.of === of) part.rows.push(row);
    else parts.push({ of, rows: [row] });
  }

  #find(purpose: string, cell: Uint8Array, byteOne: ByteOne, end: number): Seen<C> {
    if (this.#last === undefined) return this.#begin(purpose, cell, byteOne, end);
    this.#byFour ??= new Map([
      [fourOf(this.#last.first, this.#last.head.length || HEADER_BYTES), this.#last],
    ]);
    this.#near ??= new Array<Seen<C> | undefined>(256).fill(undefined);
    const four = fourOf(cell, end);
    let found = this.#byFour.get(four);
    if (found === undefined) this.#byFour.set(four, (found = this.#begin(purpose, cell, byteOne, end)));
    else if (!isOf(found, purpose, cell, end)) return this.#findAlike(purpose, cell, byteOne, end);
    this.#near[cell[tellingAt(end)]!] = found;
    return found;
  }

  #findAlike(purpose: string, cell: Uint8Array, byteOne: ByteOne, end: number): Seen<C> {
    const text = `${end} ${viewOf(cell, FINGERPRINT_AT, end).toString('latin1')} ${byteOne.byte} ${purpose}`;
    this.#alike ??= new Map();
    let seen = this.#alike.get(text);
    if (seen === undefined) this.#alike.set(text, (seen = this.#begin(purpose, cell, byteOne, end)));
    return seen;
  }

  #begin(purpose: string, cell: Uint8Array, byteOne: ByteOne, end: number): Seen<C> {
    const fingerprint = formatFingerprint(cell, FINGERPRINT_AT);
    const head = end === HEADER_BYTES ? NOTHING : viewOf(cell, 0, end);
    const header = end === HEADER_BYTES ? NOTHING : head.subarray(HEADER_BYTES);
    const seen: Seen<C> = { purpose, fingerprint, byteOne, header, parts: [], first: cell, head };
    this.#all.push(seen);
    return seen;
  }
}

/** Cells that are opened in one go: about 1.5 ms, and as many as a batch takes. */
const MAX_CELLS = 1024;

/** Groups of at most 1,024 cells with the cells of `group`, in their order. */
export function splitGroup<C>(group: CellGroup<C>): readonly CellGroup<C>[] {
  const { parts } = group;
  if (parts.reduce((cells, { rows }) => cells + rows.length, 0) <= MAX_CELLS) return [group];
  return parts.flatMap(({ of, rows }) =>
    Array.from({ length: Math.ceil(rows.length / MAX_CELLS) }, (_, i) => ({
      ...group,
      parts: [{ of, rows: rows.slice(i * MAX_CELLS, (i + 1) * MAX_CELLS) }],
    })),
  );
}

/** Where 4 bytes are that differ between keys: at the start of the fingerprint, or the end of a wrap, which is its tag. */
const tellingAt = (end: number): number => (end === HEADER_BYTES ? FINGERPRINT_AT : end - 4);

function fourOf(cell: Uint8Array, end: number): number {
  const at = tellingAt(end);
  return (cell[at]! << 24) | (cell[at + 1]! << 16) | (cell[at + 2]! << 8) | cell[at + 3]!;
}

/** By purpose and by all bytes from byte 1 to the nonce. */
function isOf<C>(seen: Seen<C>, purpose: string, cell: Uint8Array, end: number): boolean {
  if (end !== HEADER_BYTES) return hasHead(seen, cell, end) && seen.purpose === purpose;
  const { first } = seen;
  for (let i = HEADER_BYTES - 1; i >= 1; i--) if (cell[i] !== first[i]) return false;
  return seen.purpose === purpose;
}

/** One call into the platform costs less than a loop over a hundred bytes; most other heads differ in their last. Measured. */
function hasHead<C>({ head }: Seen<C>, cell: Uint8Array, end: number): boolean {
  return head[end - 1] === cell[end - 1] && head.compare(cell, 0, end) === 0;
}

function viewOf(cell: Uint8Array, from: number, to: number): Buffer {
  return Buffer.from(cell.buffer, cell.byteOffset + from, to - from);
}
