/** AES-CMAC (NIST SP 800-38B, RFC 4493) of many messages at once. */
import type { KeyObject } from 'node:crypto';
import { BlockCipher, CbcChain } from './block-cipher.js';
import { BLOCK_BYTES, Blocks, copyBlock, xorBlock } from './blocks.js';

/** Messages in blocks, each finished by {@link CmacKey.finish}. */
export interface Messages {
  readonly blocks: Blocks;
  /** First block of each message. */
  readonly starts: Int32Array;
  /** Blocks of each message, at least one. */
  readonly counts: Int32Array;
  readonly n: number;
}

/** States of the messages that are made in rounds. */
const rounds = new Blocks();
/** Messages that are made in rounds and still have a block. */
let active = new Int32Array(16);

export class CmacKey {
  readonly #cipher: BlockCipher;
  readonly #chain: CbcChain;
  readonly #ofZero = new Blocks(1);
  /** XORed into the last block of a message that fills it (K1 in the standard). */
  readonly #whole = new Blocks(1);
  /** XORed into the last block of a message that was padded (K2 in the standard). */
  readonly #padded = new Blocks(1);

  constructor(key: KeyObject) {
    this.#cipher = new BlockCipher(key);
    this.#cipher.encipher(this.#ofZero, 1);
    copyBlock(this.#ofZero, 0, this.#whole, 0);
    double(this.#whole, 0);
    copyBlock(this.#whole, 0, this.#padded, 0);
    double(this.#padded, 0);
    this.#chain = new CbcChain(key, this.#ofZero);
  }

  /** Prepares the last block of a message of `length` bytes, the rest of the last block being zero. */
  finish(blocks: Blocks, start: number, length: number): void {
    const whole = length !== 0 && (length & (BLOCK_BYTES - 1)) === 0;
    if (!whole) blocks.bytes[start * BLOCK_BYTES + length] = 0x80;
    xorBlock(whole ? this.#whole : this.#padded, 0, blocks, start + blocksOf(length) - 1);
  }

  /** CMAC of one message, in one block. */
  macOf(message: Uint8Array): Blocks {
    const blocks = new Blocks(blocksOf(message.length));
    blocks.bytes.set(message);
    this.finish(blocks, 0, message.length);
    const into = new Blocks(1);
    const counts = Int32Array.of(blocksOf(message.length));
    this.mac({ blocks, starts: Int32Array.of(0), counts, n: 1 }, into);
    blocks.bytes.fill(0);
    return into;
  }

  /** Makes the MAC of every block of `blocks` that is a message of its own and finished, in place. */
  macEach(blocks: Blocks, n: number): void {
    this.#cipher.encipher(blocks, n);
  }

  /** Writes the MAC of message i into block i of `into`. Spoils the messages. */
  mac(messages: Messages, into: Blocks): void {
    const { blocks, starts, counts, n } = messages;
    const limit = roundLimit(counts, n);
    if (n > active.length) active = new Int32Array(n);
    let short = 0;
    for (let i = 0; i < n; i++) {
      if (counts[i]! > limit) this.#chain.mac(blocks, starts[i]!, counts[i]!, into, i);
      else active[short++] = i;
    }
    if (short > 0) this.#macInRounds(messages, short, into);
  }

  /** Round k enciphers block k of every message that has one. */
  #macInRounds({ blocks, starts, counts }: Messages, n: number, into: Blocks): void {
    let live = n;
    rounds.reserve(live);
    try {
      for (let j = 0; j < live; j++) copyBlock(blocks, starts[active[j]!]!, rounds, j);
      for (let round = 0; live > 0; round++) {
        if (round > 0)
          for (let j = 0; j < live; j++) xorBlock(blocks, starts[active[j]!]! + round, rounds, j);
        this.#cipher.encipher(rounds, live);
        live = this.#takeEnded(counts, round + 1, live, into);
      }
    } finally {
      rounds.wipe();
    }
  }

  /** Moves the MACs of messages with so many blocks to their places; how many messages are left. */
  #takeEnded(counts: Int32Array, blocks: number, live: number, into: Blocks): number {
    let still = 0;
    for (let j = 0; j < live; j++) {
      const i = active[j]!;
      if (counts[i] === blocks) {
        copyBlock(rounds, j, into, i);
      } else {
        if (still !== j) copyBlock(rounds, j, rounds, still);
        active[still++] = i;
      }
    }
    return still;
  }

  close(): void {
    for (const block of [this.#ofZero, this.#whole, this.#padded]) block.bytes.fill(0);
  }
}

/** Blocks that a message takes; an empty one takes one. */
export function blocksOf(length: number): number {
  return length === 0 ? 1 : (length + BLOCK_BYTES - 1) >>> 4;
}

/** Multiplies by x in GF(2^128), as NIST SP 800-38B and RFC 5297 do; no branch depends on the block. */
export function double(blocks: Blocks, block: number): void {
  const { bytes } = blocks;
  const at = block * BLOCK_BYTES;
  const carry = bytes[at]! >> 7;
  for (let b = at; b < at + 15; b++) bytes[b] = (bytes[b]! << 1) | (bytes[b + 1]! >> 7);
  bytes[at + 15] = (bytes[at + 15]! << 1) ^ (carry * 0x87);
}

/**
 * Messages of at most so many blocks go in rounds together (one call a round), longer ones one by one (one call each);
 * chosen so that there are as few calls as possible.
 */
function roundLimit(counts: Int32Array, n: number): number {
  let longest = 0;
  for (let i = 0; i < n; i++) longest = Math.max(longest, counts[i]!);
  if (longest === 1) return 1;
  if (n === 1) return 0;
  if (longest === 2) return 2; // one call for each round, or one for the first and one for each longer message
  const having = new Int32Array(longest + 1);
  for (let i = 0; i < n; i++) having[counts[i]!]!++;
  let best = longest;
  let fewest = longest;
  let longer = 0;
  for (let limit = longest - 1; limit >= 0; limit--) {
    longer += having[limit + 1]!;
    if (longer + limit < fewest) {
      fewest = longer + limit;
      best = limit;
    }
  }
  return best;
}
