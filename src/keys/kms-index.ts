/** One blind index that the KMS makes: its message until it is asked for, its bytes afterwards. */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { indexOf } from '../cell/blind-index.js';
import { SealError } from '../errors.js';
import { PENDING_INDEX_BRAND, type PendingIndex } from './field-seal.js';

export class KmsIndex implements PendingIndex {
  readonly [PENDING_INDEX_BRAND] = true;
  readonly #message: Buffer;
  readonly #mac: (message: Buffer) => Promise<Buffer>;
  #making: Promise<Buffer> | undefined;
  #bytes: Buffer | undefined;
  #label: string | undefined;

  constructor(message: Buffer, mac: (message: Buffer) => Promise<Buffer>) {
    this.#message = message;
    this.#mac = mac;
  }

  get bytes(): Buffer | undefined {
    return this.#bytes;
  }

  make(): Promise<Buffer> {
    return (this.#making ??= this.#make());
  }

  isSameAs(other: PendingIndex): boolean {
    return #message in other && this.#message.equals(other.#message);
  }

  async #make(): Promise<Buffer> {
    try {
      return (this.#bytes = indexOf(await this.#mac(this.#message)));
    } catch (error) {
      this.#making = undefined;
      throw error;
    }
  }

  /** Asked by `pg`. */
  toPostgres(): never {
    throw notMade();
  }

  /** Asked by the drivers of MySQL. */
  toSqlString(): never {
    throw notMade();
  }

  /** Statements may be compared by their parameters as JSON: equal where the bytes are, and where nobody knows them never. */
  toJSON(): string {
    return this.#bytes?.toString('hex') ?? (this.#label ??= `[PendingIndex ${randomUUID()}]`);
  }

  /** Asked by drivers that take every object for a text. */
  toString(): string {
    if (this.#bytes === undefined) throw notMade();
    return this.toJSON();
  }

  [inspect.custom](): string {
    return this.toJSON();
  }
}

function notMade(): SealError {
  return new SealError(
    'ERR_SEAL_NOT_PREPARED',
    'A blind index that the KMS makes was sent to the database before it was made; expected a query runner of the DataSource ' +
      'that the field seal is attached to, got a driver of its own. Await make() and send the bytes.',
  );
}
