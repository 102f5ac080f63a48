/** AES-CMAC (NIST SP 800-38B, RFC 4493) of many messages at once. */
import type { KeyObject } from 'node:crypto';
import { BlockCipher, CbcChain } from './block-cipher.js';
import { BLOCK_BYTES, BLOCK_WORDS, Blocks, copyBlock } from './blocks.js';

/** Messages in blocks, each finished by {@link CmacKey.finish}. */
export interface Messages {
  readonly blocks: Blocks;
  /** First block of each message. */
  readonly starts: Int32Array;
  /** Blocks of each message, at least one. */
  readonly counts: Int32Array;
  readonly n: number;
}

export class CmacKey {
  readonly #cipher: BlockCipher;
  readonly #chain: CbcChain;
  readonly #ofZero: Uint32Array;
  /** XORed into the last block of a message that fills it (K1 in the standard). */
  readonly #whole: Uint32Array;
  /** XORed into the last block of a message that was padded (K2 in the standard). */
  readonly #padded: Uint32Array;
  readonly #rounds = new Blocks();

  constructor(key: KeyObject) {
    this.#cipher = new BlockCipher(key);
    const block = new Blocks(1);
    this.#cipher.encipher(block, 1);
    this.#ofZero = block.words.slice();
    double(block, 0);
    this.#whole = block.words.slice();
    double(block, 0);
    this.#padded = block.words.slice();
    block.bytes.fill(0);
    this.#chain = new CbcChain(key, this.#ofZero);
  }

  /** Prepares the last block of a message of `length` bytes, the rest of the last block being zero. */
  finish(blocks: Blocks, start: number, length: number): void {
    const whole = length !== 0 && length % BLOCK_BYTES === 0;
    const last = start + (length === 0 ? 0 : Math.ceil(length / BLOCK_BYTES) - 1);
    if (!whole) blocks.bytes[start * BLOCK_BYTES + length] = 0x80;
    const mask = whole ? this.#whole : this.#padded;
    const { words } = blocks;
    for (let w = 0; w < BLOCK_WORDS; w++) words[last * BLOCK_WORDS + w]! ^= mask[w]!;
  }

  /** CMAC of one message, in 4 words. */
  macOf(message: Uint8Array): Uint32Array {
    const blocks = new Blocks(blocksOf(message.length));
    blocks.bytes.set(message);
    this.finish(blocks, 0, message.length);
    const into = new Blocks(1);
    this.mac(
      { blocks, starts: Int32Array.of(0), counts: Int32Array.of(blocksOf(message.length)), n: 1 },
      into,
    );
    blocks.bytes.fill(0);
    return into.words;
  }

  /** Makes the MAC of every block of `blocks` that is a message of its own and finished, in place. */
  macEach(blocks: Blocks, n: number): void {
    this.#cipher.encipher(blocks, n);
  }

  /** Writes the MAC of message i into block i of `into`. Spoils the messages. */
  mac(messages: Messages, into: Blocks): void {
    const { blocks, starts, counts, n } = messages;
    const limit = roundLimit(counts, n);
    const short: number[] = [];
    for (let i = 0; i < n; i++) {
      if (counts[i]! > limit) this.#chain.mac(blocks, starts[i]!, counts[i]!, into, i);
      else short.push(i);
    }
    if (short.length > 0) this.#macInRounds(messages, short, into);
  }

  /** Round k enciphers block k of every message that has one. */
  #macInRounds({ blocks, starts, counts }: Messages, active: number[], into: Blocks): void {
    const state = this.#rounds;
    let live = active.length;
    // After a fault the state of the failed batch is still there.
    state.wipe();
    state.reserve(live);
    for (let round = 0; live > 0; round++) {
      for (let j = 0; j < live; j++) xorBlock(blocks, starts[active[j]!]! + round, state, j);
      this.#cipher.encipher(state, live);
      let still = 0;
      for (let j = 0; j < live; j++) {
        const i = active[j]!;
        if (counts[i] === round + 1) {
          copyBlock(state, j, into, i);
        } else {
          if (still !== j) copyBlock(state, j, state, still);
          active[still++] = i;
        }
      }
      live = still;
    }
    state.wipe();
  }

  close(): void {
    for (const words of [this.#ofZero, this.#whole, this.#padded]) words.fill(0);
  }
}

/** Blocks that a message takes; an empty one takes one. */
export function blocksOf(length: number): number {
  return length === 0 ? 1 : Math.ceil(length / BLOCK_BYTES);
}

/** Multiplies by x in GF(2^128), as NIST SP 800-38B and RFC 5297 do; no branch depends on the block. */
export function double(blocks: Blocks, block: number): void {
  const { bytes } = blocks;
  const at = block * BLOCK_BYTES;
  const carry = bytes[at]! >> 7;
  for (let b = at; b < at + 15; b++) bytes[b] = (bytes[b]! << 1) | (bytes[b + 1]! >> 7);
  bytes[at + 15] = (bytes[at + 15]! << 1) ^ (carry * 0x87);
}

function xorBlock(from: Blocks, fromBlock: number, to: Blocks, toBlock: number): void {
  const source = from.words;
  const target = to.words;
  for (let w = 0; w < BLOCK_WORDS; w++)
    target[toBlock * BLOCK_WORDS + w]! ^= source[fromBlock * BLOCK_WORDS + w]!;
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
