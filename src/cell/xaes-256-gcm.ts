/**
 * Suite 2: XAES-256-GCM (C2SP specification). Body of a cell: nonce 24, ciphertext, tag 16.
 * The first 12 bytes of the nonce, the prefix, select an AES-256-GCM key that is derived once.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { KeyError } from '../errors.js';
import type { Batch } from './batch.js';
import { BlockCipher } from './block-cipher.js';
import { BLOCK_BYTES, Blocks } from './blocks.js';
import { double } from './cmac.js';
import { type CellColumn, ContextCache, contextOf } from './column.js';
import { lengthPrefixed } from './length-prefix.js';
import type { KeyedCells, SuiteKey } from './suites.js';

const PREFIX_BYTES = 12;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
/** Cells under one prefix: 2^24 random 96-bit nonces collide with a probability of 2^-49. */
const MAX_CELLS_OF_PREFIX = 2 ** 24;
/** Derived keys kept for opening; a prefix is drawn for each hand-out of a key to a process. */
const KEPT_KEYS = 64;

export class Xaes256GcmKey implements SuiteKey {
  readonly #key: XaesKey;
  readonly #fingerprint: string;
  readonly #contexts = new ContextCache<Buffer>();
  /** Made for the first cell that is opened: most keys have none. */
  #derived: LRUCache<string, KeyObject> | undefined;
  #prefix: { readonly bytes: Buffer; readonly key: KeyObject } | undefined;
  #cells = 0;

  constructor(keyBytes: Buffer, fingerprint: string) {
    this.#key = new XaesKey(keyBytes);
    this.#fingerprint = fingerprint;
  }

  /** @throws KeyError `ERR_KEY_STATE` when the prefix of this hand-out is used up */
  seal(batch: Batch): void {
    const prefix = this.#draw(batch.n);
    const random = randomBytes(batch.n * PREFIX_BYTES);
    for (let i = 0; i < batch.n; i++) {
      const nonce = Buffer.concat([prefix.bytes, random.subarray(i * PREFIX_BYTES, (i + 1) * PREFIX_BYTES)]);
      const sealed = sealGcm(prefix.key, nonce, textOf(batch, i), this.#additionalData(batch, i));
      const at = batch.nonceAt(i);
      batch.frames.bytes.set(nonce, at);
      batch.frames.bytes.set(sealed, at + NONCE_BYTES);
    }
  }

  prepare(column: CellColumn, of: KeyedCells): void {
    this.#draw(0);
    this.#contextOf(column, of);
  }

  open(batch: Batch): void {
    for (let i = 0; i < batch.n; i++) {
      const at = batch.nonceAt(i);
      const { bytes } = batch.frames;
      const nonce = bytes.subarray(at, at + NONCE_BYTES);
      const sealed = bytes.subarray(at + NONCE_BYTES, at + NONCE_BYTES + batch.lengths[i]! + TAG_BYTES);
      const opened = openGcm(this.#keyFor(nonce), nonce, sealed, this.#additionalData(batch, i));
      batch.verified[i] = opened ? 1 : 0;
      if (!opened) continue;
      batch.texts.bytes.set(opened, batch.starts[i]! * BLOCK_BYTES);
      opened.fill(0);
    }
  }

  close(): void {
    this.#prefix = undefined;
    this.#derived?.clear();
    this.#key.close();
  }

  #draw(cells: number): { readonly bytes: Buffer; readonly key: KeyObject } {
    if (this.#cells + cells > MAX_CELLS_OF_PREFIX) {
      throw new KeyError(
        'ERR_KEY_STATE',
        `Key ${this.#fingerprint}: expected at most 2^24 cells under one nonce prefix of xaes-256-gcm, ` +
          `got ${this.#cells} and ${cells} more; ask the key source for a new hand-out.`,
      );
    }
    this.#cells += cells;
    if (this.#prefix) return this.#prefix;
    const bytes = randomBytes(PREFIX_BYTES);
    return (this.#prefix = { bytes, key: this.#key.derive(bytes) });
  }

  #keyFor(nonce: Buffer): KeyObject {
    const id = nonce.toString('latin1', 0, PREFIX_BYTES);
    const derived = (this.#derived ??= new LRUCache<string, KeyObject>({ max: KEPT_KEYS }));
    let key = derived.get(id);
    if (!key) derived.set(id, (key = this.#key.derive(nonce)));
    return key;
  }

  #additionalData(batch: Batch, i: number): Buffer {
    const context = this.#contextOf(batch.parts[i]!.column, batch.of);
    return Buffer.concat([context, lengthPrefixed(batch.binding(i) ?? '')]);
  }

  #contextOf(column: CellColumn, { byteOne, fingerprint }: KeyedCells): Buffer {
    return this.#contexts.get(column, byteOne, () => lengthPrefixed(contextOf(column, byteOne, fingerprint)));
  }
}

/** The key of XAES-256-GCM and its derivation, which is CMAC-based key derivation of NIST SP 800-108r1. */
export class XaesKey {
  readonly #cipher: BlockCipher;
  /** K1 of the specification. Made for the first derivation: most keys seal and open with suite 1 alone. */
  #mask: Blocks | undefined;

  /** 32 bytes, copied; the caller wipes them. */
  constructor(keyBytes: Buffer) {
    this.#cipher = new BlockCipher(createSecretKey(keyBytes));
  }

  /** The AES-256-GCM key for nonces that begin with these 12 bytes. */
  derive(prefix: Uint8Array): KeyObject {
    const mask = (this.#mask ??= this.#makeMask());
    const blocks = new Blocks(2);
    for (let block = 0; block < 2; block++) {
      const at = block * BLOCK_BYTES;
      blocks.bytes.set([0x00, 0x01 + block, 0x58, 0x00], at);
      blocks.bytes.set(prefix.subarray(0, PREFIX_BYTES), at + 4);
      for (let b = 0; b < BLOCK_BYTES; b++) blocks.bytes[at + b]! ^= mask.bytes[b]!;
    }
    this.#cipher.encipher(blocks, 2);
    const key = createSecretKey(blocks.bytes);
    blocks.bytes.fill(0);
    return key;
  }

  close(): void {
    this.#mask?.bytes.fill(0);
  }

  #makeMask(): Blocks {
    const mask = new Blocks(1);
    this.#cipher.encipher(mask, 1);
    double(mask, 0);
    return mask;
  }
}

/** Ciphertext and tag under a derived key and the last 12 bytes of the nonce. */
export function sealGcm(key: KeyObject, nonce: Buffer, text: Uint8Array, additionalData: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce.subarray(PREFIX_BYTES), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(additionalData);
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** The text, or undefined when the tag is wrong. The caller wipes it. */
export function openGcm(
  key: KeyObject,
  nonce: Buffer,
  sealed: Buffer,
  additionalData: Uint8Array,
): Buffer | undefined {
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce.subarray(PREFIX_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(additionalData);
  decipher.setAuthTag(sealed.subarray(end));
  const text = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final(); // GCM keeps no bytes back; this only verifies
    return text;
  } catch {
    text.fill(0);
    return undefined;
  }
}

function textOf(batch: Batch, i: number): Buffer {
  const from = batch.starts[i]! * BLOCK_BYTES;
  return batch.texts.bytes.subarray(from, from + batch.lengths[i]!);
}
