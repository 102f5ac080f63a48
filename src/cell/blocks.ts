/** Working memory in blocks of 16 bytes, seen as bytes and as 32-bit words. */

export const BLOCK_BYTES = 16;
export const BLOCK_WORDS = 4;

/** Memory beyond this is not kept from one batch to the next. */
const KEPT_BYTES = 256 * 1024;
/** Up to so many bytes a loop is faster than a call into the platform. */
const SMALL_BYTES = 256;
/** How many of the first views are kept: making one costs as much as enciphering ten blocks. */
const KEPT_VIEWS = 8;

/**
 * Grows as needed, always zero where nothing was reserved since the last `wipe`.
 * Words are for XOR and copying only: their order of bytes is the machine's.
 */
export class Blocks {
  bytes: Buffer;
  words: Uint32Array;
  #reserved = 0;
  #views: Buffer[] = [];
  /** The view of a longer stretch that was asked for last: values of one length come one after another. */
  #longView: Buffer | undefined;

  constructor(blocks = 16) {
    this.bytes = Buffer.alloc(blocks * BLOCK_BYTES);
    this.words = wordsOf(this.bytes);
  }

  /** Makes room for so many blocks. Growing loses the content, so reserve first, then write. */
  reserve(blocks: number): void {
    if (blocks > this.#reserved) this.#reserved = blocks;
    if (blocks * BLOCK_BYTES <= this.bytes.length) return;
    this.bytes.fill(0);
    this.#replace(Math.max(blocks * BLOCK_BYTES, this.bytes.length * 2));
  }

  /** The first blocks as bytes, without a copy. */
  view(blocks: number): Buffer {
    const length = blocks * BLOCK_BYTES;
    if (blocks > KEPT_VIEWS) {
      if (this.#longView?.length !== length) this.#longView = this.bytes.subarray(0, length);
      return this.#longView;
    }
    return (this.#views[blocks] ??= this.bytes.subarray(0, length));
  }

  /** Takes bytes over into the first blocks and wipes them where they were. */
  moveIn(bytes: Buffer): void {
    if (bytes.length > SMALL_BYTES) {
      this.bytes.set(bytes);
      bytes.fill(0);
      return;
    }
    const target = this.bytes;
    for (let b = 0; b < bytes.length; b++) {
      target[b] = bytes[b]!;
      bytes[b] = 0;
    }
  }

  /** Zeroes everything that was reserved since the last wipe. */
  wipe(): void {
    if (this.#reserved === 0) return;
    const words = this.#reserved * BLOCK_WORDS;
    const all = this.words;
    if (words > SMALL_BYTES / 4) all.fill(0, 0, words);
    else for (let w = 0; w < words; w++) all[w] = 0;
    this.#reserved = 0;
    if (this.bytes.length > KEPT_BYTES) this.#replace(KEPT_BYTES);
  }

  #replace(bytes: number): void {
    this.bytes = Buffer.alloc(bytes);
    this.words = wordsOf(this.bytes);
    this.#views = [];
    this.#longView = undefined;
  }
}

// Written out: the compiler does not unroll loops, and these run several times for each cell.

export function copyBlock(from: Blocks, fromBlock: number, to: Blocks, toBlock: number): void {
  const source = from.words;
  const target = to.words;
  const s = fromBlock * BLOCK_WORDS;
  const t = toBlock * BLOCK_WORDS;
  target[t] = source[s]!;
  target[t + 1] = source[s + 1]!;
  target[t + 2] = source[s + 2]!;
  target[t + 3] = source[s + 3]!;
}

/** XORs one block into another. */
export function xorBlock(from: Blocks, fromBlock: number, to: Blocks, toBlock: number): void {
  const source = from.words;
  const target = to.words;
  const s = fromBlock * BLOCK_WORDS;
  const t = toBlock * BLOCK_WORDS;
  target[t]! ^= source[s]!;
  target[t + 1]! ^= source[s + 1]!;
  target[t + 2]! ^= source[s + 2]!;
  target[t + 3]! ^= source[s + 3]!;
}

/** Compares all 16 bytes whatever they are. */
export function isSameBlock(one: Blocks, oneBlock: number, other: Blocks, otherBlock: number): boolean {
  const a = one.words;
  const b = other.words;
  const i = oneBlock * BLOCK_WORDS;
  const j = otherBlock * BLOCK_WORDS;
  const difference =
    (a[i]! ^ b[j]!) | (a[i + 1]! ^ b[j + 1]!) | (a[i + 2]! ^ b[j + 2]!) | (a[i + 3]! ^ b[j + 3]!);
  return difference === 0;
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
