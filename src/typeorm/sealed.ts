/** A value that is still sealed: what a property holds where TypeORM filled it without asking for its key. */
import { inspect } from 'node:util';

const brand = Symbol.for('fieldseal/sealed');

/** A cell in place of its value. Shows purpose and field, never bytes. */
export class Sealed {
  readonly [brand] = true;
  readonly #purpose: string;
  readonly #field: string;
  readonly #open: () => Promise<unknown>;

  constructor(purpose: string, field: string, open: () => Promise<unknown>) {
    this.#purpose = purpose;
    this.#field = field;
    this.#open = open;
  }

  /**
   * The value. Loads the key if it is not in the keyring.
   * @throws FormatError, KeyError, KmsError, OpenError `ERR_OPEN_FAILED`.
   */
  open(): Promise<unknown> {
    return this.#open();
  }

  toJSON(): string {
    return '[sealed]';
  }

  toString(): string {
    return '[sealed]';
  }

  [inspect.custom](): string {
    return `Sealed { ${this.#purpose}, ${this.#field} }`;
  }
}

/** Whether a property holds a sealed value, made by any copy of the package. */
export function isSealed(value: unknown): value is Sealed {
  return typeof value === 'object' && value !== null && brand in value;
}
