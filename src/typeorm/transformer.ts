/**
 * The transformer that stands on an encrypted column of one attached data source. TypeORM calls it synchronously with
 * single values, so sealing and opening happen elsewhere, for whole statements and pages; here sealed cells and opened
 * values pass through, and the dirty check gets something that it can compare.
 */
import { inspect } from 'node:util';
import { SealError } from '../errors.js';
import { canonicalOf, canonicalOfSealed } from './canonical.js';
import type { EncryptedColumn } from './encrypted-column.js';
import { asNullTest } from './null-test.js';
import { isSealed } from './sealed.js';
import { printed, WHY_NOT } from './stand-in.js';

/** A cell on its way into a statement. Only these are let through to the driver. */
export class SealedCell {
  readonly cell: Buffer;

  constructor(cell: Buffer) {
    this.cell = cell;
  }
}

/** An opened value on its way through hydration, in the place of its cell in a raw row. */
export class OpenedValue {
  readonly value: unknown;
  /** What it stands in for; undefined where nobody will ask for it. */
  readonly cell: unknown;

  constructor(value: unknown, cell: unknown) {
    this.value = value;
    this.cell = cell;
  }

  [WHY_NOT](): SealError {
    return new SealError(
      'ERR_SEAL_TYPE',
      'A value of a raw row that is being made an entity of came to be sent. Take it from the entity.',
    );
  }

  toJSON(): string {
    return printed(this, '[opened]');
  }

  [inspect.custom](): string {
    return '[opened]';
  }
}

/** What the transformer does with a cell that no page has opened. */
export type OpenLater = (column: EncryptedColumn, cell: Uint8Array) => unknown;

export class ColumnTransformer {
  readonly #column: EncryptedColumn;
  readonly #openLater: OpenLater;

  constructor(column: EncryptedColumn, openLater: OpenLater) {
    this.#column = column;
    this.#openLater = openLater;
  }

  /**
   * To the driver: a sealed cell as bytes, everything else as a token that can be compared and never be bound. TypeORM 0.3
   * asks for the tests for NULL of criteria too, which carry no value.
   */
  to(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    if (value instanceof SealedCell) return value.cell;
    if (typeof value === 'object' && asNullTest(value)) return value;
    return tokenOf(this.#column, value);
  }

  /** To the entity: an opened value; a cell that reaches hydration unopened is left to the fallback. */
  from(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    if (value instanceof OpenedValue) return value.value;
    return this.#openLater(this.#column, value as Uint8Array);
  }
}

/**
 * Stands for a plaintext in the dirty check, which compares with `===`: equal values of one column get one token. A
 * statement that carries one is refused; a driver that binds it all the same, or anything that prints it, throws.
 */
class Token {
  readonly #label: string;

  constructor(label: string) {
    this.#label = label;
  }

  [WHY_NOT](): SealError {
    return new SealError(
      'ERR_SEAL_NOT_ATTACHED',
      `${this.#label}: a value came to be sent unsealed and was stopped, since its statement was not made by the attached ` +
        'DataSource. A library that puts query builders of its own in the place of TypeORM’s must do so before attachFieldSeal.',
    );
  }

  toPostgres(): never {
    throw this[WHY_NOT]();
  }

  toSqlString(): never {
    return this.toPostgres();
  }

  toString(): never {
    return this.toPostgres();
  }

  toJSON(): string {
    return printed(this, '[encrypted]');
  }

  [Symbol.toPrimitive](): never {
    return this.toPostgres();
  }
}

// Tokens live for one synchronous run: TypeORM computes a diff without awaiting, and plaintext is not kept longer.
let tokens: Map<EncryptedColumn, Map<string, Token>> | undefined;

function tokenOf(column: EncryptedColumn, value: unknown): Token {
  if (tokens === undefined) {
    tokens = new Map();
    queueMicrotask(() => {
      tokens = undefined;
    });
  }
  let ofColumn = tokens.get(column);
  if (ofColumn === undefined) {
    ofColumn = new Map<string, Token>();
    tokens.set(column, ofColumn);
  }
  const canonical = isSealed(value) ? canonicalOfSealed(value) : canonicalOf(column.handle.codec, value);
  let token = ofColumn.get(canonical);
  if (token === undefined) ofColumn.set(canonical, (token = new Token(column.label)));
  return token;
}
