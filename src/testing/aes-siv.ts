/** AES-SIV (RFC 5297) on bare bytes, for running public test corpora against the cipher of cells. */
import { timingSafeEqual } from 'node:crypto';
import { SivKey } from '../cell/aes-siv.js';
import { BLOCK_BYTES, Blocks, copyBlock } from '../cell/blocks.js';
import { blocksOf } from '../cell/cmac.js';

/** Deterministic authenticated encryption: equal inputs give equal outputs. */
export interface AesSiv {
  /** Tag of 16 bytes, then the ciphertext, as in RFC 5297, 2.6. */
  seal(associatedData: readonly Uint8Array[], plaintext: Uint8Array): Uint8Array;
  /**
   * The plaintext of what `seal` gave.
   * @throws RangeError when the output is shorter than a tag; Error when it does not verify
   */
  open(associatedData: readonly Uint8Array[], output: Uint8Array): Uint8Array;
}

const KEY_BYTES: readonly number[] = [32, 48, 64];
/** RFC 5297, 2.6: S2V takes at most 127 strings, one of which is the plaintext. */
const MAX_ASSOCIATED = 126;

/**
 * AES-SIV with AES-128, AES-192 or AES-256 for keys of 32, 48 or 64 bytes; the key is copied.
 * A nonce is the last item of the associated data.
 * @throws TypeError when the key is not a Uint8Array; RangeError when it has another length
 */
export function aesSiv(keyBytes: Uint8Array): AesSiv {
  checkBytes(keyBytes, 'the key');
  if (!KEY_BYTES.includes(keyBytes.length)) {
    throw new RangeError(`Expected a key of 32, 48 or 64 bytes, got ${keyBytes.length}.`);
  }
  const copy = Buffer.alloc(keyBytes.length);
  copy.set(keyBytes);
  const key = new SivKey(copy);
  copy.fill(0);
  return {
    seal(associatedData, plaintext) {
      checkAssociated(associatedData);
      checkBytes(plaintext, 'the plaintext');
      return seal(key, associatedData, plaintext);
    },
    open(associatedData, output) {
      checkAssociated(associatedData);
      checkBytes(output, 'the output');
      if (output.length < BLOCK_BYTES) {
        throw new RangeError(`Expected an output of at least ${BLOCK_BYTES} bytes, got ${output.length}.`);
      }
      return open(key, associatedData, output);
    },
  };
}

function seal(key: SivKey, associatedData: readonly Uint8Array[], plaintext: Uint8Array): Uint8Array {
  const batch = batchOf(plaintext);
  const tag = tagOf(key, associatedData, batch);
  const output = new Uint8Array(BLOCK_BYTES + plaintext.length);
  output.set(tag.bytes.subarray(0, BLOCK_BYTES));
  crypt(key, tag, batch);
  output.set(batch.texts.bytes.subarray(0, plaintext.length), BLOCK_BYTES);
  return output;
}

function open(key: SivKey, associatedData: readonly Uint8Array[], output: Uint8Array): Uint8Array {
  const tag = new Blocks(1);
  tag.bytes.set(output.subarray(0, BLOCK_BYTES));
  const batch = batchOf(output.subarray(BLOCK_BYTES));
  crypt(key, tag, batch);
  const expected = tagOf(key, associatedData, batch);
  if (!timingSafeEqual(expected.bytes.subarray(0, BLOCK_BYTES), output.subarray(0, BLOCK_BYTES))) {
    throw new Error('The output does not verify under this key and associated data.');
  }
  return new Uint8Array(batch.texts.bytes.subarray(0, batch.lengths[0]));
}

function batchOf(text: Uint8Array) {
  const blocks = blocksOf(text.length);
  const texts = new Blocks(blocks);
  texts.bytes.set(text);
  const one = Int32Array.of(blocks);
  return {
    texts,
    starts: Int32Array.of(0),
    counts: one,
    lengths: Int32Array.of(text.length),
    n: 1,
    textBlocks: blocks,
  };
}

function tagOf(
  key: SivKey,
  associatedData: readonly Uint8Array[],
  batch: ReturnType<typeof batchOf>,
): Blocks {
  const state = new Blocks(1);
  copyBlock(key.start(associatedData).d, 0, state, 0);
  key.tag(batch, state);
  return state;
}

/** XORs the key stream of the tag into the text and zeroes what lies behind its end. */
function crypt(key: SivKey, tag: Blocks, { texts, ...layout }: ReturnType<typeof batchOf>): void {
  const stream = new Blocks(layout.textBlocks);
  key.keyStreams({ texts, ...layout }, { blocks: tag, starts: layout.starts, offset: 0 }, stream);
  for (let w = 0; w < texts.words.length; w++) texts.words[w]! ^= stream.words[w]!;
  texts.bytes.fill(0, layout.lengths[0]);
}

function checkAssociated(associatedData: readonly Uint8Array[]): void {
  if (!Array.isArray(associatedData)) throw new TypeError('Expected an array of associated data.');
  if (associatedData.length > MAX_ASSOCIATED) {
    throw new RangeError(`Expected at most ${MAX_ASSOCIATED} associated data, got ${associatedData.length}.`);
  }
  for (const item of associatedData) checkBytes(item, 'associated data');
}

function checkBytes(bytes: unknown, what: string): void {
  if (!(bytes instanceof Uint8Array))
    throw new TypeError(`Expected ${what} as a Uint8Array, got ${typeof bytes}.`);
}
