/**
 * What `@Encrypted` says about a field, checked, as the transformer object that marks the column. Unless a data source
 * is attached, that object refuses every value: a forgotten `attachFieldSeal` stores and shows nothing.
 */
import type { CodecName } from '../cell/codecs.js';
import type { MaskName } from '../cell/mask.js';
import { ConfigError, OpenError, SealError } from '../errors.js';
import {
  callback,
  flag,
  group,
  listOf,
  oneOf,
  optional,
  optionError,
  parseOptions,
  text,
  wholeNumber,
  withDefault,
  type OptionRule,
} from '../keys/options.js';

/** Options of a blind index. What an index shows to a reader of the table: `docs/threat-model.md`. */
export interface BlindIndexOptions {
  /** Refuse two rows with equal values. Default false. */
  readonly unique?: boolean;
  /** Applied before indexing and searching, never to what is stored: `(pan: string) => pan.replaceAll(' ', '')`. */
  readonly normalize?: (value: never) => unknown;
}

export interface EncryptedOptions {
  /** A purpose of the field seal. */
  readonly purpose: string;
  /** Type of the value. Default: what reflect-metadata knows of the property, else `'string'`. */
  readonly type?: CodecName;
  /** Whether the field may be null. Null stays NULL in the cell and in its siblings. Default false. */
  readonly nullable?: boolean;
  /**
   * Column of the cell; siblings are `<name>_key`, `<name>_bidx` and `<name>_mask`. Default: what the naming strategy
   * gives, except for the mask, which is `<property>_mask`.
   */
  readonly name?: string;
  /** Column of the fingerprint, where `<name>_key` is taken. */
  readonly keyColumn?: string;
  /** Search by equality through a keyed hash in `<name>_bidx`. Shows which rows hold equal values. Default: none. */
  readonly blindIndex?: true | BlindIndexOptions;
  /**
   * Properties of the same row that the cell is bound to, so that it cannot be copied to another row: an id made by the
   * application, a tenant. They must be known before the INSERT and never change. `false` says: on purpose not bound.
   */
  readonly bind?: readonly string[] | false;
  /** Pins the authenticated context to `'entity.field'`, so that renaming the table or column orphans nothing. */
  readonly context?: string;
  /**
   * Stores a truncated card number for display in `<name>_mask`: `'last4'` gives `1111`, `'first6last4'` (15 digits and
   * more) `411111******1111`. Type string only; a value that is not 13 to 19 digits is refused. It is read as the property
   * `<property>Mask`, which the class may declare (`panMask?: string | null`) without a decorator; writing that property
   * changes nothing. Whoever reads the table reads the mask. Default: none.
   */
  readonly mask?: MaskName;
  /**
   * Required where one field has a blind index and a mask: with the key of the index, the removed digits could be found
   * by trying (PCI DSS 3.5.1). It says that the index is a keyed hash and that its key is kept from readers of the table.
   */
  readonly control?: 'keyed-hash';
  /**
   * On PostgreSQL, a CHECK constraint that refuses values which are no cells, and a fingerprint that is missing or not that
   * of the cell, from whoever writes. It is part of the schema of attached DataSources only ('schema-only' included): the
   * schema sync of one that is not attached drops it. Beware: when it refuses a row, PostgreSQL prints that row into its
   * log and into the detail of the error. Other databases get no constraint, and a warning says so. Default false.
   */
  readonly check?: boolean;
  /** Pads values to a multiple of this many bytes, 1 to 255. Default: no padding. */
  readonly pad?: number;
}

const CODECS = ['string', 'number', 'bigint', 'boolean', 'date', 'json', 'bytes'] as const;

const OPTIONS = {
  purpose: text('the name of a purpose'),
  type: optional<CodecName>(oneOf(CODECS)),
  nullable: withDefault(flag(), false),
  name: optional(text()),
  keyColumn: optional(text()),
  blindIndex: optional(blindIndex()),
  bind: optional(binding()),
  context: optional(text("'entity.field'", (value) => /^[^.]+\..+$/u.test(value))),
  check: withDefault(flag(), false),
  pad: optional(wholeNumber(1, 255)),
  mask: optional<MaskName>(oneOf(['last4', 'first6last4'])),
  control: optional(oneOf(['keyed-hash'])),
};

// PCI DSS 3.3.1: sensitive authentication data is not stored after authorisation, even encrypted.
const NEVER_STORED: ReadonlySet<string> = new Set([
  'cvv',
  'cvc',
  'cvv2',
  'cvc2',
  'cid',
  'pin',
  'pinblock',
  'track1',
  'track2',
]);

// Registered, so that a marker of another copy of the package is recognised.
const brand = Symbol.for('fieldseal/encrypted');

/** The declaration of one field. Stateless: a data source binds its own transformer in its place. */
export class Declaration {
  readonly [brand] = true;
  readonly options: ReturnType<typeof parseDeclaration>;

  constructor(options: EncryptedOptions, field: string, designType?: unknown) {
    this.options = parseDeclaration(options, field, designType);
  }

  to(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    throw new SealError('ERR_SEAL_NOT_ATTACHED', notAttached('written'));
  }

  from(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    throw new OpenError('ERR_OPEN_NOT_ATTACHED', notAttached('read'));
  }
}

/** The declaration on a column's transformer, of any copy of the package. */
export function declarationOf(transformer: unknown): Declaration | undefined {
  if (typeof transformer !== 'object' || transformer === null || !(brand in transformer)) return undefined;
  return transformer as Declaration;
}

function parseDeclaration(options: EncryptedOptions, field: string, designType: unknown) {
  refuseNeverStored(field, options.name);
  const parsed = parseOptions(OPTIONS, options, `@Encrypted ${field}`);
  const declared = Object.freeze({ ...parsed, type: parsed.type ?? typeOfDesign(designType) });
  refuseUnsafeMask(declared, field);
  return declared;
}

interface Masked {
  readonly mask: MaskName | undefined;
  readonly type: CodecName;
  readonly blindIndex: object | undefined;
  readonly control: 'keyed-hash' | undefined;
}

function refuseUnsafeMask({ mask, type, blindIndex, control }: Masked, field: string): void {
  if (mask === undefined) return;
  if (type !== 'string') {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `@Encrypted ${field}: expected type 'string' for the mask ${mask}, got '${type}'; a mask is a part of a card number.`,
    );
  }
  if (blindIndex === undefined || control === 'keyed-hash') return;
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `@Encrypted ${field}: blind index and mask of one card number can be correlated if the index key leaks (PCI DSS ` +
      "3.5.1); declare control: 'keyed-hash' where that key is kept from readers of the table, or leave one of the two out.",
  );
}

function refuseNeverStored(field: string, column: string | undefined): void {
  for (const name of [field.slice(field.lastIndexOf('.') + 1), column ?? '']) {
    if (NEVER_STORED.has(name.toLowerCase().replaceAll('_', ''))) {
      throw new ConfigError(
        'ERR_CONFIG_FORBIDDEN_FIELD',
        `@Encrypted ${field}: card verification values, PINs and track data may not be stored after authorisation, ` +
          'even encrypted (PCI DSS 3.3.1). Use the value and forget it.',
      );
    }
  }
}

const TYPES_OF_DESIGN: ReadonlyMap<unknown, CodecName> = new Map<unknown, CodecName>([
  [String, 'string'],
  [Number, 'number'],
  [BigInt, 'bigint'],
  [Boolean, 'boolean'],
  [Date, 'date'],
  [Buffer, 'bytes'],
  [Uint8Array, 'bytes'],
]);

/** `string` where the compiler knew nothing better: safe, since each codec refuses values of another type. */
function typeOfDesign(designType: unknown): CodecName {
  return TYPES_OF_DESIGN.get(designType) ?? 'string';
}

function blindIndex(): OptionRule<{
  readonly unique: boolean;
  readonly normalize: BlindIndexOptions['normalize'];
}> {
  const table = {
    unique: withDefault(flag(), false),
    normalize: optional(callback<(value: never) => unknown>()),
  };
  return (value, path) => group(table)(value === true ? {} : value, path);
}

function binding(): OptionRule<readonly string[] | false> {
  const properties = listOf(text('the name of a property'), 1);
  return (value, path) => {
    if (value === false) return false;
    const names = properties(value, path);
    if (new Set(names).size < names.length)
      throw optionError(path, 'each property once', 'one of them twice');
    return names;
  };
}

function notAttached(done: string): string {
  return (
    `An encrypted field cannot be ${done}: its DataSource is not attached to a field seal. ` +
    'Call attachFieldSeal(dataSource, seal) before the first query.'
  );
}
