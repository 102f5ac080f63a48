/**
 * AES over whole blocks with contexts that are kept: making a cipher object costs more than a thousand blocks.
 * A context that ever answered unexpectedly is thrown away, since everything after it could be silently wrong.
 */
import { type Cipher, createCipheriv, type KeyObject } from 'node:crypto';
import { BLOCK_BYTES, Blocks, copyBlock, isSameBlock, xorBlock } from './blocks.js';

/** Blocks of a message that are copied behind the last output block, to make do with one call. */
const HEAD_BLOCKS = 255;
/** Longest input of one further call: bounds the output that Node allocates. */
const CHAIN_BLOCKS = 4096;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** The last output block of a chain and the beginning of a message. */
const head = new Blocks();

/** A cipher context answered what it cannot answer. Becomes a coded error where the cell is known. */
export class CipherFault extends Error {}

/** AES-ECB, the bare block cipher. Never used as a mode of encryption. */
export class BlockCipher {
  readonly #key: KeyObject;
  #context: Cipher | undefined;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** Makes the context now that the first call would make. */
  setUp(): void {
    this.#context ??= newContext('ecb', this.#key);
  }

  /**
   * Enciphers the first `n` blocks in place, in one call into OpenSSL.
   * @throws CipherFault
   */
  encipher(blocks: Blocks, n: number): void {
    // The output may be key stream, so it stays nowhere else.
    blocks.moveIn(this.#update(blocks.view(n)));
  }

  #update(input: Buffer): Buffer {
    const context = this.#context ?? newContext('ecb', this.#key);
    this.#context = undefined;
    const output = updateWhole(context, input);
    this.#context = context;
    return output;
  }
}

/**
 * CBC-MACs (without any finish) over one AES-CBC context that is never reset. A message is preceded by the last output
 * block, so that the chain starts at zero again; the output of that block must then be AES(0), which is checked, and
 * cancelled in the message's first block. Without the check a lost block would make exactly one MAC silently wrong.
 */
export class CbcChain {
  readonly #key: KeyObject;
  /** AES(0). */
  readonly #ofZero: Blocks;
  readonly #previous = new Blocks(1);
  #context: Cipher | undefined;

  constructor(key: KeyObject, ofZero: Blocks) {
    this.#key = key;
    this.#ofZero = ofZero;
  }

  /**
   * Writes the CBC-MAC of `count` blocks, from block `start` on, into block `slot` of `into`.
   * @throws CipherFault when the context has lost step with us; the next call starts with a new one
   */
  mac(message: Blocks, start: number, count: number, into: Blocks, slot: number): void {
    const context = this.#take();
    const end = start + count;
    let at = start + Math.min(count, HEAD_BLOCKS);
    this.#updateHead(context, message, start, at - start);
    while (at < end) {
      const until = Math.min(at + CHAIN_BLOCKS, end);
      this.#keepLast(updateWhole(context, message.bytes.subarray(at * BLOCK_BYTES, until * BLOCK_BYTES)));
      at = until;
    }
    copyBlock(this.#previous, 0, into, slot);
    this.#context = context;
  }

  /** Only a call that ends well puts the context back. */
  #take(): Cipher {
    const context = this.#context;
    this.#context = undefined;
    if (context) return context;
    this.#previous.bytes.fill(0);
    return newContext('cbc', this.#key, ZERO_BLOCK);
  }

  #updateHead(context: Cipher, message: Blocks, start: number, count: number): void {
    head.reserve(count + 1);
    try {
      copyBlock(this.#previous, 0, head, 0);
      head.bytes.set(message.bytes.subarray(start * BLOCK_BYTES, (start + count) * BLOCK_BYTES), BLOCK_BYTES);
      xorBlock(this.#ofZero, 0, head, 1);
      const output = updateWhole(context, head.view(count + 1));
      for (let b = 0; b < BLOCK_BYTES; b++) head.bytes[b] = output[b]!;
      this.#keepLast(output);
      this.#checkStep();
    } finally {
      head.wipe();
    }
  }

  /** Remembers the last block and wipes the rest: it may be the MAC of a forged text. */
  #keepLast(output: Buffer): void {
    const last = output.length - BLOCK_BYTES;
    for (let b = 0; b < BLOCK_BYTES; b++) this.#previous.bytes[b] = output[last + b]!;
    output.fill(0);
  }

  #checkStep(): void {
    if (!isSameBlock(head, 0, this.#ofZero, 0)) throw new CipherFault('The AES-CBC context lost step.');
  }
}

function newContext(mode: 'ecb' | 'cbc', key: KeyObject, iv: Buffer | null = null): Cipher {
  const bits = (key.symmetricKeySize ?? 0) * 8;
  return createCipheriv(`aes-${bits}-${mode}`, key, iv).setAutoPadding(false);
}

/** Part of a block would stay inside the context and shift everything after it. */
function updateWhole(context: Cipher, input: Buffer): Buffer {
  if (input.length === 0 || input.length % BLOCK_BYTES !== 0) {
    throw new CipherFault(`Expected whole blocks of ${BLOCK_BYTES} bytes, got ${input.length} bytes.`);
  }
  const output = context.update(input);
  if (output.length !== input.length) {
    throw new CipherFault(`Expected ${input.length} bytes of output, got ${output.length}.`);
  }
  return output;
}
