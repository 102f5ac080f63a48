/**
 * What `@Encrypted` says about a field, checked, as the transformer object that marks the column. Unless a data source
 * is attached, that object refuses every value: a forgotten `attachFieldSeal` stores and shows nothing.
 */
import type { CodecName } from '../cell/codecs.js';
import type { MaskName } from '../cell/mask.js';
import { ConfigError, OpenError, SealError } from '../errors.js';
import {
  flag,
  oneOf,
  optional,
  describeValue,
  optionError,
  parseOptions,
  text,
  wholeNumber,
  withDefault,
} from '../keys/options.js';
import { binding, blindIndex, CODECS, context, previously } from './declaration-rules.js';
import { isNamedLikeNeverStored } from './never-stored.js';

/** Options of a blind index. What an index shows to a reader of the table: `docs/queries-and-leakage.md`. */
export interface BlindIndexOptions {
  /**
   * Refuse two rows with equal values. While two versions of the index key live, or with `acceptPreviously`, a row that is
   * stored under the older index value does not count, until it is rewritten; upserts by the field are refused meanwhile.
   * Default false.
   */
  readonly unique?: boolean;
  /**
   * Whether rows may be written without their index, which `fillBlindIndexes` makes later: its column takes NULL. Until
   * then the row is not found by the field, and is no duplicate of another. Needed where a write-only process writes the
   * field. Default false.
   */
  readonly later?: boolean;
  /** Applied before indexing and searching, never to what is stored: `(pan: string) => pan.replaceAll(' ', '')`. */
  readonly normalize?: (value: never) => unknown;
}

/** How a field was declared before. What is left out was as it is. */
export interface PreviousOptions {
  readonly type?: CodecName;
  /** The properties that cells were bound to; they must still be there. `false`: none. */
  readonly bind?: readonly string[] | false;
  /** `'table.column'` as they were named where no context was pinned. */
  readonly context?: string;
  /** Makes a value of the present type of an older one; required where the type was another. Synchronous. */
  readonly convert?: (value: never) => unknown;
  /**
   * For searches by blind index, required where the type was another: what a value of the present type was indexed as,
   * normalised as it was then; undefined for a value that did not exist then.
   */
  readonly revert?: (value: never) => unknown;
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
  /**
   * The declaration before `type`, `bind` or `context` changed (a renamed table or column without a pinned context
   * changes it too), under which cells were sealed that are still there. Default: none.
   */
  readonly previously?: PreviousOptions;
  /**
   * Reads cells of the older declaration too, until they are rewritten; new ones are always sealed under the present one.
   * A cell that does not verify costs a second opening, searches look for twice as many index values, and a unique blind
   * index does not see equal values of old and new rows. Old cells are bound as they were, no better. Default false.
   */
  readonly acceptPreviously?: boolean;
  /**
   * Says that the field holds no card verification value, PIN or track data, although it is named like one: `mapPin`, a
   * `pinCode` that is a postal code. Those may not be stored (PCI DSS 3.3.1), so their names are refused; that is a
   * spelling check and knows nothing of values. Default false.
   */
  readonly notAuthenticationData?: boolean;
  /** Pads values to a multiple of this many bytes, 1 to 255. Default: no padding. */
  readonly pad?: number;
}

const OPTIONS = {
  purpose: text('the name of a purpose'),
  type: optional<CodecName>(oneOf(CODECS)),
  nullable: withDefault(flag(), false),
  name: optional(text()),
  keyColumn: optional(text()),
  blindIndex: optional(blindIndex()),
  bind: optional(binding()),
  context: optional(context()),
  previously: optional(previously()),
  acceptPreviously: withDefault(flag(), false),
  check: withDefault(flag(), false),
  notAuthenticationData: withDefault(flag(), false),
  pad: optional(wholeNumber(1, 255)),
  mask: optional<MaskName>(oneOf(['last4', 'first6last4'])),
  control: optional(oneOf(['keyed-hash'])),
};

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
  if (typeof field !== 'string' || field === '')
    throw optionError('the property of an encrypted field', 'its name', describeValue(field));
  const parsed = parseOptions(OPTIONS, options, `@Encrypted ${field}`);
  if (!parsed.notAuthenticationData) refuseNeverStored(field, parsed.name);
  const declared = Object.freeze({ ...parsed, type: parsed.type ?? typeOfDesign(designType) });
  refuseUnsafeMask(declared, field);
  if (declared.acceptPreviously && declared.previously === undefined) {
    throw optionError(
      `@Encrypted ${field}.acceptPreviously`,
      'previously, the older declaration, beside it',
      'none',
    );
  }
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
  const names = [field.slice(field.lastIndexOf('.') + 1), column];
  const name = names.find((one) => one !== undefined && isNamedLikeNeverStored(one));
  if (name === undefined) return;
  throw new ConfigError(
    'ERR_CONFIG_FORBIDDEN_FIELD',
    `@Encrypted ${field}: '${name}' is named like a card verification value, a PIN or track data, which may not be stored ` +
      'after authorisation, even encrypted (PCI DSS 3.3.1). Use the value and forget it. This is a spelling check: where the ' +
      'field holds something else, declare notAuthenticationData: true, or give it another name.',
  );
}

/** By name, since every realm has constructors of its own. */
const TYPES_OF_DESIGN: ReadonlyMap<string, CodecName> = new Map<string, CodecName>([
  ['String', 'string'],
  ['Number', 'number'],
  ['BigInt', 'bigint'],
  ['Boolean', 'boolean'],
  ['Date', 'date'],
  ['Buffer', 'bytes'],
  ['Uint8Array', 'bytes'],
]);

/** `string` where the compiler knew nothing better: safe, since each codec refuses values of another type. */
function typeOfDesign(designType: unknown): CodecName {
  return (typeof designType === 'function' && TYPES_OF_DESIGN.get(designType.name)) || 'string';
}

function notAttached(done: string): string {
  return (
    `An encrypted field cannot be ${done}: its DataSource is not attached to a field seal. ` +
    'Call attachFieldSeal(dataSource, seal) before the first query.'
  );
}
