/** How a value outside an ORM is named and bound: `seal.seal('card-number', 'cards.pan', …)`. */
import { isUint8Array } from 'node:util/types';
import { LRUCache } from 'lru-cache';
import { encodeBinding } from '../cell/binding.js';
import type { BoundKind } from '../cell/binding.js';
import type { CodecName } from '../cell/codecs.js';
import type { CellColumn } from '../cell/column.js';
import { sealCells } from '../cell/seal.js';
import { ConfigError, SealError } from '../errors.js';
import type { Columns } from './columns.js';
import { describeValue, mapOf, optional, parseOptions, wholeNumber, withDefault } from './options.js';
import type { OptionRule } from './options.js';
import type { Policy } from './policy.js';
import type { StatementKeys } from './prepared-keys.js';
import { preparedKeys, type SealRowsParts } from './seal-rows.js';

/** Settings of one value; the same ones open it that sealed it. */
export interface ValueOptions {
  /** Type of the value, part of its authenticated context. Default `'string'`. */
  readonly type?: CodecName;
  /**
   * Other values of the row that the cell is tied to, by property name. Strings are bound as text, numbers and bigints
   * as integers, booleans and bytes as they are; a column of database type uuid is bound otherwise by the ORM.
   */
  readonly bind?: Readonly<Record<string, string | number | bigint | boolean | Uint8Array>>;
  /** Pad to a multiple of this many bytes, 1 to 255. Default: no padding. Opening does not need it. */
  readonly pad?: number;
}

/** Columns kept; names may come from callers' data. */
const MAX_COLUMNS = 1_000;

const KIND_OF_TYPE: ReadonlyMap<string, BoundKind> = new Map([
  ['string', 'text'],
  ['number', 'integer'],
  ['bigint', 'integer'],
  ['boolean', 'boolean'],
]);

const table = {
  // Which types there are is the codecs' knowledge: the column refuses others.
  type: withDefault(((value) => value) as OptionRule<CodecName>, 'string'),
  bind: optional(mapOf<unknown>((value) => value)),
  pad: withDefault(wholeNumber(0, 255), 0),
};

type ParsedValueOptions = ReturnType<typeof parseValueOptions>;

/** @throws ConfigError `ERR_CONFIG_OPTION`. */
export function parseValueOptions(options: unknown) {
  return parseOptions(table, options, 'options');
}

/** Contexts of single values, made once each: the cipher keeps what it computed by their identity. */
export class ValueColumns {
  readonly #columns: Columns;
  readonly #made = new LRUCache<string, CellColumn>({ max: MAX_COLUMNS });

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  /** @throws ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`. */
  get(purpose: string, name: string, { type, bind, pad }: ParsedValueOptions): CellColumn {
    this.#columns.policy(purpose);
    const [entity, field] = splitName(name);
    const id = JSON.stringify([purpose, name, type, pad, bind !== undefined]);
    let column = this.#made.get(id);
    if (column === undefined) {
      column = this.#columns.cells(purpose, { entity, field, codec: type, pad, bound: bind !== undefined });
      this.#made.set(id, column);
    }
    return column;
  }
}

/** A value on its way into a cell. */
export interface SingleValue {
  readonly column: CellColumn;
  readonly value: unknown;
  readonly binding: Buffer | undefined;
}

/** @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_BINDING`; ConfigError. */
export function singleValue(
  columns: ValueColumns,
  purpose: string,
  name: string,
  value: unknown,
  options: unknown,
): SingleValue {
  const parsed = parseValueOptions(options);
  const column = columns.get(purpose, name, parsed);
  if (value === null || value === undefined) {
    throw new SealError(
      'ERR_SEAL_TYPE',
      `${name}: expected a value to seal, got ${describeValue(value)}; store NULL.`,
    );
  }
  return { column, value, binding: bindingOf(parsed) };
}

/** Under a key of the pool, or the one that was prepared. */
export function sealSingle(
  { pools, sealed }: Pick<SealRowsParts, 'pools' | 'sealed'>,
  { purpose, suite }: Policy,
  { column, value, binding }: SingleValue,
  prepared: StatementKeys | undefined,
): Buffer {
  const pool = pools.get(purpose);
  const keys = pool?.draw(1) ?? preparedKeys(purpose, prepared);
  const { cells, bytes } = sealCells(suite, column, [value], keys, [binding]);
  pool?.count(keys, cells, bytes);
  sealed(1);
  return cells[0]!;
}

/** @throws SealError `ERR_SEAL_BINDING`. */
export function bindingOf({ bind }: ParsedValueOptions): Buffer | undefined {
  if (bind === undefined) return undefined;
  return encodeBinding(Array.from(bind, ([name, value]) => ({ name, kind: kindOf(name, value), value })));
}

function kindOf(name: string, value: unknown): BoundKind {
  const kind = isUint8Array(value) ? 'binary' : KIND_OF_TYPE.get(typeof value);
  if (kind !== undefined) return kind;
  throw new SealError(
    'ERR_SEAL_BINDING',
    `Bound value ${name}: expected a string, an integer, a boolean or bytes, got ${describeValue(value)}.`,
  );
}

/** The entity is what stands before the first dot. */
function splitName(name: unknown): [entity: string, field: string] {
  if (typeof name !== 'string')
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `Expected a name like 'entity.field', got ${describeValue(name)}.`,
    );
  const dot = name.indexOf('.');
  if (dot > 0 && dot < name.length - 1) return [name.slice(0, dot), name.slice(dot + 1)];
  throw new ConfigError(
    'ERR_CONFIG_FIELD',
    `Expected a name like 'entity.field', got ${name.length} characters without an inner dot.`,
  );
}
