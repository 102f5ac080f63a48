/** Suite 1: AES-256-SIV with a random nonce. Body of a cell: nonce 16, tag 16, ciphertext. */
import { SivKey, type S2vStart } from './aes-siv.js';
import { type Batch, FRAME_HEADER_BLOCKS } from './batch.js';
import { BLOCK_BYTES, BLOCK_WORDS, Blocks, copyBlock } from './blocks.js';
import { blocksOf, double } from './cmac.js';
import { type CellColumn, ContextCache, contextOf } from './column.js';
import { NonceStock } from './nonces.js';
import type { SuiteKey } from './suites.js';

const NONCE_BLOCK = FRAME_HEADER_BLOCKS;
const TAG_BLOCK = NONCE_BLOCK + 1;
const TEXT_BLOCK = TAG_BLOCK + 1;

/** Per cell: D of S2V, then the tag. */
const states = new Blocks();
const nonceMacs = new Blocks();
const streams = new Blocks();
const bindings = new Blocks();

export class Aes256SivKey implements SuiteKey {
  readonly #key: SivKey;
  readonly #nonces: NonceStock;
  readonly #starts = new ContextCache<S2vStart>();

  constructor(keyBytes: Buffer) {
    this.#key = new SivKey(keyBytes);
    this.#nonces = new NonceStock(this.#key.mac);
  }

  seal(batch: Batch): void {
    const { n, frames, frameStarts } = batch;
    try {
      nonceMacs.reserve(n);
      states.reserve(n);
      for (let i = 0; i < n; i++) this.#nonces.draw(frames, frameStarts[i]! + NONCE_BLOCK, nonceMacs, i);
      this.#startS2v(batch);
      this.#key.tag(batch, states);
      this.#key.keyStreams(batch, states, streams);
      for (let i = 0; i < n; i++) {
        copyBlock(states, i, frames, frameStarts[i]! + TAG_BLOCK);
        writeText(batch, i);
      }
    } finally {
      wipe();
    }
  }

  /** Fills the texts; a text whose tag is wrong is wiped. */
  open(batch: Batch): void {
    const { n, frames, frameStarts } = batch;
    try {
      nonceMacs.reserve(n);
      states.reserve(n);
      for (let i = 0; i < n; i++) copyBlock(frames, frameStarts[i]! + TAG_BLOCK, states, i);
      this.#key.keyStreams(batch, states, streams);
      for (let i = 0; i < n; i++) {
        readText(batch, i);
        copyBlock(frames, frameStarts[i]! + NONCE_BLOCK, nonceMacs, i);
        this.#key.mac.finish(nonceMacs, i, BLOCK_BYTES);
      }
      this.#key.mac.macEach(nonceMacs, n);
      this.#startS2v(batch);
      this.#key.tag(batch, states);
      for (let i = 0; i < n; i++) verify(batch, i);
    } finally {
      wipe();
    }
  }

  close(): void {
    this.#nonces.wipe();
    this.#key.close();
  }

  /** D of each cell after context, binding and nonce, into `states`. */
  #startS2v(batch: Batch): void {
    if (batch.of.bound) this.#macBindings(batch);
    else states.words.fill(0, 0, batch.n * BLOCK_WORDS);
    let at = 0;
    while (at < batch.n) {
      const { column } = batch.parts[at]!;
      const begin = at;
      while (at < batch.n && batch.parts[at]!.column === column) at += 1;
      this.#addContext(this.#contextOf(batch, column), batch.of.bound, begin, at);
    }
  }

  /** D after the context, doubled; made once for each key and column. */
  #contextOf({ of: { byteOne, fingerprint } }: Batch, column: CellColumn): Uint32Array {
    return this.#starts.get(column, byteOne, () => this.#key.start([contextOf(column, byteOne, fingerprint)]))
      .doubled;
  }

  /** For the cells from `begin` on, which hold the MAC of their binding or zero: context, then nonce. */
  #addContext(context: Uint32Array, bound: boolean, begin: number, end: number): void {
    const { words } = states;
    const macs = nonceMacs.words;
    for (let i = begin; i < end; i++) {
      const at = i * BLOCK_WORDS;
      for (let w = 0; w < BLOCK_WORDS; w++) words[at + w]! ^= context[w]!;
      if (bound) double(states, i);
      for (let w = 0; w < BLOCK_WORDS; w++) words[at + w]! ^= macs[at + w]!;
    }
  }

  /** The MAC of each cell's binding, into `states`. */
  #macBindings(batch: Batch): void {
    const { n } = batch;
    const starts = new Int32Array(n);
    const counts = new Int32Array(n);
    let total = 0;
    for (let i = 0; i < n; i++) {
      starts[i] = total;
      counts[i] = blocksOf(batch.binding(i)!.length);
      total += counts[i]!;
    }
    bindings.reserve(total);
    for (let i = 0; i < n; i++) {
      const binding = batch.binding(i)!;
      bindings.bytes.set(binding, starts[i]! * BLOCK_BYTES);
      this.#key.mac.finish(bindings, starts[i]!, binding.length);
    }
    this.#key.mac.mac({ blocks: bindings, starts, counts, n }, states);
  }
}

function wipe(): void {
  states.wipe();
  nonceMacs.wipe();
  streams.wipe();
  bindings.wipe();
}

function writeText({ frames, frameStarts, texts, starts, lengths }: Batch, i: number): void {
  xorText(texts, starts[i]!, starts[i]!, frames, frameStarts[i]! + TEXT_BLOCK, lengths[i]!);
}

function readText({ frames, frameStarts, texts, starts, lengths }: Batch, i: number): void {
  xorText(frames, frameStarts[i]! + TEXT_BLOCK, starts[i]!, texts, starts[i]!, lengths[i]!);
}

/** Key stream XOR text, from one place to another; all numbers but the length count blocks. */
function xorText(from: Blocks, at: number, stream: number, to: Blocks, target: number, length: number): void {
  const source = from.words;
  const streamWords = streams.words;
  const result = to.words;
  const a = at * BLOCK_WORDS;
  const s = stream * BLOCK_WORDS;
  const t = target * BLOCK_WORDS;
  const words = (length + 3) >> 2;
  for (let w = 0; w < words; w++) result[t + w] = source[a + w]! ^ streamWords[s + w]!;
  // The rest of the last word is bare key stream.
  for (let b = length; b < words * 4; b++) to.bytes[t * 4 + b] = 0;
}

/** Compares all 16 bytes whatever they are. */
function verify(batch: Batch, i: number): void {
  const { words } = states;
  const frameWords = batch.frames.words;
  const tag = (batch.frameStarts[i]! + TAG_BLOCK) * BLOCK_WORDS;
  let difference = 0;
  for (let w = 0; w < BLOCK_WORDS; w++) difference |= words[i * BLOCK_WORDS + w]! ^ frameWords[tag + w]!;
  batch.verified[i] = difference === 0 ? 1 : 0;
  if (difference !== 0) batch.wipeText(i);
}
