/** A value that is still sealed: what a property holds whose cell could not be opened, or may not be opened here. */
import { inspect } from 'node:util';
import { byteOneOf, fingerprintOf } from '../cell/format.js';
import { SealError } from '../errors.js';
import type { FieldColumn } from '../keys/field-seal.js';
import { printed, WHY_NOT } from './stand-in.js';

const brand = Symbol.for('fieldseal/sealed');

let cellIn: (sealed: Sealed) => Uint8Array | undefined;

/** A cell in place of its value. Shows purpose, field and fingerprint, never other bytes. */
export class Sealed {
  readonly [brand] = true;
  readonly #column: FieldColumn;
  readonly #cell: Uint8Array;
  readonly #open: () => Promise<unknown>;

  static {
    // A value made by another copy of the package has a `#cell` of that copy.
    cellIn = (sealed) => (#cell in sealed ? sealed.#cell : undefined);
  }

  constructor(column: FieldColumn, cell: Uint8Array, open: () => Promise<unknown>) {
    this.#column = column;
    this.#cell = cell;
    this.#open = open;
  }

  /**
   * Tries again and gives the value. Loads the key if it is not in the keyring. The property keeps this object.
   * @throws FormatError, KeyError, KmsError, OpenError `ERR_OPEN_FAILED`, `ERR_OPEN_WRITE_ONLY`.
   */
  open(): Promise<unknown> {
    return this.#open();
  }

  [WHY_NOT](): SealError {
    const { entity, field } = this.#column;
    return new SealError(
      'ERR_SEAL_TYPE',
      `${entity}.${field}: a value that is still sealed came to be sent to the database as it is. Open it first.`,
    );
  }

  toJSON(): string {
    return printed(this, '[sealed]');
  }

  toString(): string {
    return printed(this, '[sealed]');
  }

  [inspect.custom](): string {
    const { purpose, entity, field } = this.#column;
    const key = byteOneOf(this.#cell) ? `key ${fingerprintOf(this.#cell)}` : 'not a cell';
    return `Sealed { ${purpose}, ${entity}.${field}, ${key} }`;
  }
}

/** Whether a property holds a sealed value, made by any copy of the package. */
export function isSealed(value: unknown): value is Sealed {
  return typeof value === 'object' && value !== null && brand in value;
}

/** The bytes behind a sealed value; undefined when another copy of the package made it. */
export function cellOf(sealed: Sealed): Uint8Array | undefined {
  return cellIn(sealed);
}
