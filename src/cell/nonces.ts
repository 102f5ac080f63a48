/** Random nonces of 16 bytes for one key, each with its CMAC. */
import { randomFillSync } from 'node:crypto';
import { BLOCK_BYTES, BLOCK_WORDS, Blocks } from './blocks.js';
import type { CmacKey } from './cmac.js';

/** 4 KiB: one call to the platform for 256 nonces of any key. */
const POOL_BLOCKS = 4096 / BLOCK_BYTES;
const FIRST_STOCK = 8;
const LARGEST_STOCK = 128;

const pool = new Blocks(POOL_BLOCKS);
let poolLeft = 0;

/**
 * Draws nonces ahead and makes their MACs in one call; a single cell then takes one call less. What was drawn is
 * wiped. For AES-SIV only: a process that is cloned with its memory repeats nonces, which this cipher answers with no
 * more than showing that two equal values are equal.
 */
export class NonceStock {
  readonly #mac: CmacKey;
  readonly #nonces = new Blocks(FIRST_STOCK);
  readonly #macs = new Blocks(FIRST_STOCK);
  #size = FIRST_STOCK / 2;
  #left = 0;

  constructor(mac: CmacKey) {
    this.#mac = mac;
  }

  /** Draws ahead what the first nonce would draw. */
  fill(): void {
    if (this.#left === 0) this.#refill();
  }

  /** Moves a nonce into one block and its MAC into another. */
  draw(nonceTo: Blocks, nonceBlock: number, macTo: Blocks, macBlock: number): void {
    this.fill();
    this.#left -= 1;
    moveBlock(this.#nonces, this.#left, nonceTo, nonceBlock);
    moveBlock(this.#macs, this.#left, macTo, macBlock);
  }

  /** Forgets what was not drawn. */
  wipe(): void {
    this.#left = 0;
    this.#nonces.bytes.fill(0);
    this.#macs.bytes.fill(0);
  }

  /** Doubles from one refill to the next: a key that seals once pays for few. */
  #refill(): void {
    this.#size = Math.min(this.#size * 2, LARGEST_STOCK);
    this.#nonces.reserve(this.#size);
    this.#macs.reserve(this.#size);
    for (let i = 0; i < this.#size; i++) drawRandom(this.#nonces, i);
    this.#macs.bytes.set(this.#nonces.view(this.#size));
    for (let i = 0; i < this.#size; i++) this.#mac.finish(this.#macs, i, BLOCK_BYTES);
    this.#mac.macEach(this.#macs, this.#size);
    this.#left = this.#size;
  }
}

function drawRandom(to: Blocks, block: number): void {
  if (poolLeft === 0) {
    randomFillSync(pool.bytes);
    poolLeft = POOL_BLOCKS;
  }
  poolLeft -= 1;
  moveBlock(pool, poolLeft, to, block);
}

function moveBlock(from: Blocks, fromBlock: number, to: Blocks, toBlock: number): void {
  const source = from.words;
  const target = to.words;
  for (let w = 0; w < BLOCK_WORDS; w++) {
    target[toBlock * BLOCK_WORDS + w] = source[fromBlock * BLOCK_WORDS + w]!;
    source[fromBlock * BLOCK_WORDS + w] = 0;
  }
}
