/** A column of cells: the parts of the context that every cell of it shares. */
import { ConfigError } from '../errors.js';
import { type CodecName, codecOf } from './codecs.js';
import { fingerprintBytes } from './fingerprint.js';
import { lengthPrefixed } from './length-prefix.js';
import { checkName } from './well-formed.js';

export interface CellColumn {
  readonly application: string;
  readonly environment: string;
  readonly purpose: string;
  readonly entity: string;
  readonly field: string;
  readonly codec: CodecName;
  /** Values are padded to a multiple of so many bytes, 1 to 255; 0: no padding. Opening works with any setting. */
  readonly pad: number;
  /** Whether each cell is bound to other values of its row. */
  readonly bound: boolean;
}

const CONTEXT_PREFIX = Buffer.from('fieldseal/v1');
const NAMES = ['application', 'environment', 'purpose', 'entity', 'field'] as const;
const MAX_PAD_BYTES = 255;

/** The encoded names of each column that {@link cellColumn} made. */
const encodedNames = new WeakMap<CellColumn, Buffer>();

/**
 * The column, checked and frozen. Make it once: work that is the same for all cells of a key and column is kept by
 * this object's identity.
 * @throws ConfigError `ERR_CONFIG_FIELD` when a name is empty, not in normal form C or not well-formed Unicode, the
 * codec is unknown, or `pad` is not 0 to 255
 */
export function cellColumn(parts: CellColumn): CellColumn {
  const { application, environment, purpose, entity, field, codec, pad, bound } = parts;
  const column = Object.freeze({ application, environment, purpose, entity, field, codec, pad, bound });
  const where = nameOf(column);
  for (const name of NAMES) checkName(column[name], `${name} of ${where}`);
  codecOf(codec, where);
  if (!Number.isInteger(pad) || pad < 0 || pad > MAX_PAD_BYTES) {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: expected pad of 0 to ${MAX_PAD_BYTES} bytes, got ${pad}.`,
    );
  }
  encodedNames.set(column, lengthPrefixed(...NAMES.map((name) => column[name]), codec));
  return column;
}

/** How messages name the column. */
export function nameOf(column: CellColumn): string {
  return `${column.entity}.${column.field}`;
}

/** The context of the column's cells under one key: what is authenticated beside the value. */
export function contextOf(column: CellColumn, byteOne: number, fingerprint: string): Buffer {
  const names = encodedNames.get(column);
  if (!names) {
    // A look-alike was not checked, and its names could change while results are kept by its identity.
    throw new ConfigError('ERR_CONFIG_FIELD', `${nameOf(column)}: make the column with cellColumn().`);
  }
  return Buffer.concat([CONTEXT_PREFIX, Buffer.of(byteOne), fingerprintBytes(fingerprint), names]);
}

/** Keeps what was made of a context, for one key. Columns that are gone are forgotten. */
export class ContextCache<T> {
  readonly #byColumn = new WeakMap<CellColumn, (T | undefined)[]>();

  get(column: CellColumn, byteOne: number, make: () => T): T {
    let made = this.#byColumn.get(column);
    if (!made) this.#byColumn.set(column, (made = []));
    return (made[byteOne] ??= make());
  }
}
