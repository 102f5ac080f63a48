/** Blind indexes that the KMS makes, under MAC keys that never leave it: this process can make them, and has no key. */
import { indexMessage } from '../cell/blind-index.js';
import { nameOf, type CellColumn } from '../cell/column.js';
import { KmsError, SealError } from '../errors.js';
import type { IndexMaker } from './index-makers.js';
import { KmsIndex } from './kms-index.js';
import type { Policy } from './policy.js';
import type { Clock, KeySource } from './ports.js';
import { answerOf } from './source-calls.js';

/** Of a message (AWS KMS API Reference, GenerateMac). */
const MAX_MESSAGE_BYTES = 4_096;
const MAC_BYTES = 32;
/** Of no index: those begin with a version from 1 on. */
const PROBE = Buffer.of(0);

export interface KmsIndexesOptions {
  readonly clock: Clock;
  readonly source: Pick<KeySource, 'mac'>;
}

export class KmsIndexes {
  readonly #options: KmsIndexesOptions;

  constructor(options: KmsIndexesOptions) {
    this.#options = options;
  }

  /**
   * Proves at start that every version has a MAC key which this process may use. One KMS call a version.
   * @throws KmsError; ConfigError `ERR_CONFIG_OPTION`.
   */
  async warm({ purpose, index }: Policy): Promise<void> {
    await Promise.all(index.versions.map((version) => this.#mac(purpose, version, PROBE)));
  }

  /** One for each version of the policy. */
  of({ purpose, index }: Policy): readonly IndexMaker[] {
    return index.versions.map(
      (version) => (column, values) =>
        values.map((value) =>
          value === null || value === undefined ? null : this.#pending(purpose, version, column, value),
        ),
    );
  }

  #pending(purpose: string, version: number, column: CellColumn, value: unknown): KmsIndex {
    const message = indexMessage(version, column, value);
    if (message.length > MAX_MESSAGE_BYTES) throw tooLong(nameOf(column), message.length);
    return new KmsIndex(message, (bytes) => this.#mac(purpose, version, bytes));
  }

  async #mac(purpose: string, version: number, message: Buffer): Promise<Buffer> {
    const { clock, source } = this.#options;
    const what = `Blind index of purpose ${purpose}`;
    const mac = await answerOf(clock, what, () => source.mac(purpose, version, message));
    if (mac.length === MAC_BYTES) return mac;
    throw new KmsError(
      'ERR_KMS_RESPONSE',
      `${what}: expected a MAC of ${MAC_BYTES} bytes, got ${mac.length}; index key version ${version}.`,
    );
  }
}

function tooLong(where: string, got: number): SealError {
  return new SealError(
    'ERR_SEAL_VALUE',
    `${where}: expected a value that the KMS makes an index of, with ${MAX_MESSAGE_BYTES} bytes at most together with the ` +
      `column's names, got ${got}; index a shorter form (blindIndex.normalize).`,
  );
}
