/** Suite 1: AES-256-SIV with a random nonce. Body of a cell: nonce 16, tag 16, ciphertext. */
import { type BlockOfEach, SivKey, type S2vStart } from './aes-siv.js';
import { type Batch, FRAME_HEADER_BLOCKS } from './batch.js';
import { BLOCK_BYTES, BLOCK_WORDS, Blocks, copyBlock, isSameBlock, xorBlock } from './blocks.js';
import { blocksOf, double } from './cmac.js';
import { type CellColumn, ContextCache, contextOf } from './column.js';
import { NonceStock } from './nonces.js';
import type { KeyedCells, SuiteKey } from './suites.js';

const NONCE_BLOCK = FRAME_HEADER_BLOCKS;
const TAG_BLOCK = NONCE_BLOCK + 1;
const TEXT_BLOCK = TAG_BLOCK + 1;

/** Per cell: the MAC of its nonce, then D of S2V, then the tag. */
const states = new Blocks();
const streams = new Blocks();
const bindings = new Blocks();
const bindingMacs = new Blocks();

export class Aes256SivKey implements SuiteKey {
  readonly #key: SivKey;
  readonly #nonces: NonceStock;
  readonly #starts = new ContextCache<S2vStart>();

  constructor(keyBytes: Buffer) {
    this.#key = new SivKey(keyBytes);
    this.#nonces = new NonceStock(this.#key.mac);
  }

  prepare(column: CellColumn, of: KeyedCells): void {
    this.#key.setUp();
    this.#nonces.fill();
    this.#contextOf(column, of);
  }

  seal(batch: Batch): void {
    const { n, frames, frameStarts } = batch;
    try {
      states.reserve(n);
      for (let i = 0; i < n; i++) this.#nonces.draw(frames, frameStarts[i]! + NONCE_BLOCK, states, i);
      this.#addContexts(batch);
      this.#key.tag(batch, states);
      for (let i = 0; i < n; i++) copyBlock(states, i, frames, frameStarts[i]! + TAG_BLOCK);
      this.#key.keyStreams(batch, tagsOf(batch), streams);
      for (let i = 0; i < n; i++) writeText(batch, i);
    } finally {
      wipe();
    }
  }

  /** Fills the texts; a text whose tag is wrong is wiped. */
  open(batch: Batch): void {
    const { n, frames, frameStarts } = batch;
    const { mac } = this.#key;
    try {
      this.#key.keyStreams(batch, tagsOf(batch), streams);
      states.reserve(n);
      for (let i = 0; i < n; i++) {
        readText(batch, i);
        copyBlock(frames, frameStarts[i]! + NONCE_BLOCK, states, i);
        mac.finish(states, i, BLOCK_BYTES);
      }
      mac.macEach(states, n);
      this.#addContexts(batch);
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

  /** From the MAC of each cell's nonce to D of S2V after context, binding and nonce. */
  #addContexts(batch: Batch): void {
    const { n, parts, of } = batch;
    if (of.bound) this.#macBindings(batch);
    let column: CellColumn | undefined;
    let context: Blocks | undefined;
    for (let i = 0; i < n; i++) {
      const part = parts[i]!;
      if (part.column !== column) {
        column = part.column;
        context = this.#contextOf(column, of);
      }
      if (of.bound) {
        xorBlock(context!, 0, bindingMacs, i);
        double(bindingMacs, i);
        xorBlock(bindingMacs, i, states, i);
      } else xorBlock(context!, 0, states, i);
    }
  }

  /** D after the context, doubled; made once for each key and column. */
  #contextOf(column: CellColumn, { byteOne, fingerprint }: KeyedCells): Blocks {
    return this.#starts.get(column, byteOne, () => this.#key.start([contextOf(column, byteOne, fingerprint)]))
      .doubled;
  }

  /** The MAC of each cell's binding, into `bindingMacs`. */
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
    bindingMacs.reserve(n);
    this.#key.mac.mac({ blocks: bindings, starts, counts, n }, bindingMacs);
  }
}

const tagsOf = ({ frames, frameStarts }: Batch): BlockOfEach => ({
  blocks: frames,
  starts: frameStarts,
  offset: TAG_BLOCK,
});

function wipe(): void {
  states.wipe();
  streams.wipe();
  bindings.wipe();
  bindingMacs.wipe();
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

function verify(batch: Batch, i: number): void {
  const isRight = isSameBlock(states, i, batch.frames, batch.frameStarts[i]! + TAG_BLOCK);
  batch.verified[i] = isRight ? 1 : 0;
  if (!isRight) batch.wipeText(i);
}
