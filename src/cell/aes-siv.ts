/**
 * AES-SIV (RFC 5297) of many texts at once: S2V over CMACs, then AES in counter mode, both as calls of the bare block
 * cipher on many blocks.
 */
import { createCipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { endianness } from 'node:os';
import { BlockCipher, CipherFault } from './block-cipher.js';
import { BLOCK_BYTES, BLOCK_WORDS, Blocks, copyBlock, xorBlock } from './blocks.js';
import { CmacKey, double, type Messages } from './cmac.js';

/** Texts in blocks with room for their MACs; zero behind each one's end. */
export interface Texts {
  readonly texts: Blocks;
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly lengths: Int32Array;
  readonly n: number;
  /** All blocks of all texts. */
  readonly textBlocks: number;
}

/** D of S2V after some components, and D doubled, as the next component wants it. */
export interface S2vStart {
  readonly d: Blocks;
  readonly doubled: Blocks;
}

/** A block for each text: that of text i is block `starts[i] + offset`. */
export interface BlockOfEach {
  readonly blocks: Blocks;
  readonly starts: Int32Array;
  readonly offset: number;
}

/** From so many blocks on, a fresh AES-CTR object costs less than writing counters here. Measured. */
const CTR_BLOCKS = 512;
/** Clears the top bit of a word's first byte: RFC 5297, 2.5 zeroes bits 31 and 63 of the counter. */
const COUNTER_MASK = new Uint32Array(Uint8Array.of(0x7f, 0xff, 0xff, 0xff).buffer)[0]!;

const BIG_ENDIAN = endianness() === 'BE';

/** Copy of the texts that the MAC consumes. */
const messages = new Blocks();

export class SivKey {
  /** The key of S2V (K1 of the RFC). */
  readonly mac: CmacKey;
  readonly #cipher: BlockCipher;
  readonly #counterKey: KeyObject;

  /** Keys of 32, 48 or 64 bytes. The bytes are copied; the caller wipes them. */
  constructor(keyBytes: Buffer) {
    const half = keyBytes.length / 2;
    this.mac = new CmacKey(createSecretKey(keyBytes.subarray(0, half)));
    this.#counterKey = createSecretKey(keyBytes.subarray(half));
    this.#cipher = new BlockCipher(this.#counterKey);
  }

  /** Makes now what the first key stream would make. */
  setUp(): void {
    this.#cipher.setUp();
  }

  /** S2V over the components before the text (RFC 5297, 2.4). */
  start(components: readonly Uint8Array[]): S2vStart {
    const d = this.mac.macOf(new Uint8Array(BLOCK_BYTES));
    for (const component of components) {
      double(d, 0);
      xorBlock(this.mac.macOf(component), 0, d, 0);
    }
    const doubled = new Blocks(1);
    copyBlock(d, 0, doubled, 0);
    double(doubled, 0);
    return { d, doubled };
  }

  /** Ends S2V: block i of `states` holds D for text i, and then its tag. */
  tag(batch: Texts, states: Blocks): void {
    messages.reserve(batch.textBlocks);
    messages.bytes.set(batch.texts.view(batch.textBlocks));
    try {
      for (let i = 0; i < batch.n; i++) this.#endS2v(batch.starts[i]!, batch.lengths[i]!, states, i);
      const { starts, counts, n } = batch;
      this.#macAll({ blocks: messages, starts, counts, n }, batch.textBlocks, states);
    } finally {
      messages.wipe();
    }
  }

  /** Fills `stream` with the key streams of the tags in `tags`, at the places of the texts. */
  keyStreams(batch: Texts, tags: BlockOfEach, stream: Blocks): void {
    stream.reserve(batch.textBlocks);
    if (batch.n === 1 && batch.counts[0]! >= CTR_BLOCKS) {
      this.#longStream(batch.counts[0]!, tags, stream);
      return;
    }
    for (let i = 0; i < batch.n; i++) writeCounters(tags, i, stream, batch.starts[i]!, batch.counts[i]!);
    this.#cipher.encipher(stream, batch.textBlocks);
  }

  close(): void {
    this.mac.close();
  }

  /** T of the RFC: the text's end XOR D, or a short text padded XOR D doubled; then CMAC's own finish. */
  #endS2v(start: number, length: number, states: Blocks, i: number): void {
    const short = length < BLOCK_BYTES;
    if (short) {
      double(states, i);
      messages.bytes[start * BLOCK_BYTES + length] = 0x80;
    }
    const end = start * BLOCK_BYTES + (short ? BLOCK_BYTES : length);
    if ((end & (BLOCK_BYTES - 1)) === 0) {
      xorBlock(states, i, messages, (end >>> 4) - 1);
    } else {
      const target = messages.bytes;
      const source = states.bytes;
      const to = end - BLOCK_BYTES;
      const from = i * BLOCK_BYTES;
      for (let b = 0; b < BLOCK_BYTES; b++) target[to + b]! ^= source[from + b]!;
    }
    this.mac.finish(messages, start, short ? BLOCK_BYTES : length);
  }

  #macAll(all: Messages, blocks: number, into: Blocks): void {
    if (blocks !== all.n) {
      this.mac.mac(all, into);
      return;
    }
    // One block each: the messages lie as their MACs will.
    this.mac.macEach(all.blocks, all.n);
    into.bytes.set(all.blocks.view(all.n));
  }

  #longStream(count: number, tags: BlockOfEach, stream: Blocks): void {
    const counter = new Blocks(1);
    writeCounters(tags, 0, counter, 0, 1);
    const context = createCipheriv(
      `aes-${(this.#counterKey.symmetricKeySize ?? 0) * 8}-ctr`,
      this.#counterKey,
      counter.bytes,
    );
    const output = context.update(stream.view(count)); // zeros, so the output is the key stream
    if (output.length !== count * BLOCK_BYTES)
      throw new CipherFault('The AES-CTR context gave another length.');
    stream.bytes.set(output);
    output.fill(0);
  }
}

/**
 * Counter blocks of text i: both masks first, so that the low 32 bits never carry into the next word for texts shorter
 * than 2^31 blocks.
 */
function writeCounters(tags: BlockOfEach, i: number, to: Blocks, start: number, count: number): void {
  const tag = tags.blocks.words;
  const from = (tags.starts[i]! + tags.offset) * BLOCK_WORDS;
  const w0 = tag[from]!;
  const w1 = tag[from + 1]!;
  const w2 = tag[from + 2]! & COUNTER_MASK;
  const w3 = tag[from + 3]! & COUNTER_MASK;
  const low = toBigEndian(w3);
  const { words } = to;
  for (let j = 0; j < count; j++) {
    const at = (start + j) * BLOCK_WORDS;
    words[at] = w0;
    words[at + 1] = w1;
    words[at + 2] = w2;
    words[at + 3] = toBigEndian(low + j);
  }
}

/** The number whose big-endian bytes are the word's bytes in memory, and the other way round. */
function toBigEndian(word: number): number {
  if (BIG_ENDIAN) return word;
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
