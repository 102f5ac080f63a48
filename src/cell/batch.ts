/**
 * Cells of one key, byte 1 and delivery header that are sealed or opened together, of one column or several, laid out so
 * that a handful of calls and plain XOR of words serve them all.
 */
import type { CellColumn } from './column.js';
import { BLOCK_BYTES, Blocks, copyBlock } from './blocks.js';
import { blocksOf } from './cmac.js';
import { HEADER_BYTES, MARKER } from './header.js';

/**
 * A pool cell begins so many bytes behind the start of a block: its header then ends with a block, and fingerprint, nonce,
 * tag and text (in suite 1) each begin with one. A cell with a delivery header begins before that by as much as the
 * header is long, so that the cipher finds nonce, tag and text where they are in pool cells.
 */
const FRAME_GAP = 14;
export const FRAME_HEADER_BLOCKS = (FRAME_GAP + HEADER_BYTES) / BLOCK_BYTES;
const FINGERPRINT_BLOCK = 1;

/** A batch ends when its cells take so much; bounds working memory and the slab that sealed cells share. */
const FULL_BLOCKS = (64 * 1024) / BLOCK_BYTES;
const MAX_CELLS = 1024;

/** What the cells of a batch have in common. */
export interface BatchOf {
  readonly byteOne: number;
  readonly fingerprint: string;
  /** Whether the cells are bound: all of them or none. */
  readonly bound: boolean;
  /** Length of the delivery header of every cell. */
  readonly headerBytes: number;
}

/** What the cells of one column have in common. */
export interface CellsOf {
  readonly column: CellColumn;
  /** By row; undefined where the column is not bound. */
  readonly bindings: readonly (Uint8Array | undefined)[] | undefined;
}

/** Used for one batch after another; wiped in between. */
export class Batch<C extends CellsOf = CellsOf> {
  of!: BatchOf;
  n = 0;
  /** What each cell belongs to; cells of one column follow one another. */
  readonly parts = new Array<C | undefined>(MAX_CELLS).fill(undefined);
  /** Row of each cell. */
  readonly rows = new Int32Array(MAX_CELLS);
  /** Bytes, first block and blocks of each text in `texts`; an empty text takes a block. */
  readonly lengths = new Int32Array(MAX_CELLS);
  readonly starts = new Int32Array(MAX_CELLS);
  readonly counts = new Int32Array(MAX_CELLS);
  /** First block of each cell in `frames`, without its delivery header: its nonce is FRAME_HEADER_BLOCKS behind. */
  readonly frameStarts = new Int32Array(MAX_CELLS);
  /** 1 where the cell's own tag was right. */
  readonly verified = new Uint8Array(MAX_CELLS);
  /** Encoded and padded values; zero behind each one's end. */
  readonly texts = new Blocks();
  /** Whole cells, with gaps between them. Takes a full batch, so that it grows for a first cell only. */
  readonly frames = new Blocks(FULL_BLOCKS);
  textBlocks = 0;
  frameBlocks = 0;
  /** Blocks that the delivery header needs before each frame. */
  #lead = 0;

  begin(of: BatchOf): void {
    // Whoever threw before the end of a batch must not leave values of its page here.
    if (this.n > 0) this.wipe();
    this.of = of;
    this.#lead = Math.ceil(of.headerBytes / BLOCK_BYTES);
    this.textBlocks = 0;
    this.frameBlocks = 0;
  }

  /**
   * Takes a cell with a text of `length` bytes and `overhead` bytes of nonce and tag, and has room for it in `frames`;
   * false when the batch is full.
   */
  add(part: C, row: number, length: number, overhead: number): boolean {
    const i = this.n;
    const frame = this.#lead + FRAME_HEADER_BLOCKS + blocksOf(length + overhead);
    if (i === MAX_CELLS || (i > 0 && this.frameBlocks + frame > FULL_BLOCKS)) return false;
    this.parts[i] = part;
    this.rows[i] = row;
    this.lengths[i] = length;
    this.starts[i] = this.textBlocks;
    this.counts[i] = blocksOf(length);
    this.frameStarts[i] = this.frameBlocks + this.#lead;
    this.textBlocks += this.counts[i];
    this.frameBlocks += frame;
    this.frames.reserve(this.frameBlocks);
    this.n = i + 1;
    return true;
  }

  /** Call once after the last `add`, before a text is written. */
  reserve(): void {
    this.texts.reserve(this.textBlocks);
    for (let i = 0; i < this.n; i++) this.verified[i] = 0;
  }

  /** Where text i begins in `texts`, in bytes. */
  textAt(i: number): number {
    return this.starts[i]! * BLOCK_BYTES;
  }

  /** Where cell i begins in `frames`, in bytes. */
  cellAt(i: number): number {
    return this.frameStarts[i]! * BLOCK_BYTES + FRAME_GAP - this.of.headerBytes;
  }

  /** Where the nonce of cell i begins in `frames`, in bytes. */
  nonceAt(i: number): number {
    return (this.frameStarts[i]! + FRAME_HEADER_BLOCKS) * BLOCK_BYTES;
  }

  /** Writes what stands before the nonce of every cell. */
  writeHeads(fingerprint: Blocks, header: Buffer): void {
    if (header.length === 0) {
      for (let i = 0; i < this.n; i++) this.#writePoolHead(i, fingerprint);
      return;
    }
    const head = Buffer.concat([Buffer.of(MARKER, this.of.byteOne), fingerprint.bytes, header]);
    for (let i = 0; i < this.n; i++) this.frames.bytes.set(head, this.cellAt(i));
  }

  /** Binding of cell i. */
  binding(i: number): Uint8Array | undefined {
    return this.parts[i]!.bindings?.[this.rows[i]!];
  }

  wipeText(i: number): void {
    this.texts.bytes.fill(0, this.textAt(i), this.textAt(i) + this.counts[i]! * BLOCK_BYTES);
  }

  /** Also lets the cells go: the batch outlives their page. */
  wipe(): void {
    for (let i = 0; i < this.n; i++) this.parts[i] = undefined;
    this.n = 0;
    this.texts.wipe();
    this.frames.wipe();
  }

  #writePoolHead(i: number, fingerprint: Blocks): void {
    const at = this.cellAt(i);
    this.frames.bytes[at] = MARKER;
    this.frames.bytes[at + 1] = this.of.byteOne;
    copyBlock(fingerprint, 0, this.frames, this.frameStarts[i]! + FINGERPRINT_BLOCK);
  }
}
