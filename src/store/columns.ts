/** How rows of the key store are read and written: one table of columns per database table. */
import { isDate } from 'node:util/types';
import { StoreError } from '../errors.js';
import type { KeyEvent, KeyKind, KeyRecord, KeyScope, Wrap } from '../keys/ports.js';
import { KEY_STATES } from '../keys/states.js';

/** One way of storing a kind of value. `select` and `parse` belong together: values come as text in a fixed form. */
interface ColumnType<T> {
  /** SQL expression that gives the column as text, whatever the session's date, byte or number format is. */
  readonly select: (column: string) => string;
  /** `undefined` when the text is not of this type. */
  readonly parse: (text: string) => T | undefined;
  readonly expected: string;
}

export interface Column {
  readonly property: string;
  readonly name: string;
  readonly select: string;
  readonly parse: (text: string | null | undefined) => unknown;
  readonly expected: string;
}

/** Longest `timestamptz` that a Date can hold, in digits of milliseconds. */
const DATE_MS = /^-?\d{1,16}$/;

const asText = (column: string): string => `${column}::text`;
const text: ColumnType<string> = { select: asText, parse: (value) => value, expected: 'text' };
const uuid: ColumnType<string> = {
  select: asText,
  parse: (value) => (isUuid(value) ? value : undefined),
  expected: 'a UUID',
};
const bytes: ColumnType<Buffer> = {
  select: (column) => `encode(${column}, 'hex')`,
  parse: (value) => (/^(?:[\da-f]{2})*$/.test(value) ? Buffer.from(value, 'hex') : undefined),
  expected: 'bytes',
};
const bytes32: ColumnType<Buffer> = { ...bytes, parse: (value) => ofLength(32, value), expected: '32 bytes' };
const date: ColumnType<Date> = {
  select: (column) => `trunc(extract(epoch FROM ${column}) * 1000)::text`,
  parse: (value) => parseDate(value),
  expected: 'a finite time',
};
const count: ColumnType<number> = {
  select: asText,
  parse: (value) => (/^\d+$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : undefined),
  expected: 'a whole number from 0 to 2^53 - 1',
};
const oneOf = <const Word extends string>(words: readonly Word[]): ColumnType<Word> => ({
  select: asText,
  parse: (value) => words.find((word) => word === value),
  expected: `one of ${words.join(', ')}`,
});
const state = oneOf(KEY_STATES);
const kind = oneOf<KeyKind>(['data', 'pair', 'index', 'store']);

const scope = {
  application: required('application', text),
  environment: required('environment', text),
  purpose: required('purpose', text),
};

type FixedProperty = 'fingerprint' | keyof KeyScope | 'kind' | 'version' | 'commitment' | 'created';

export const WRAP_COLUMNS: readonly Column[] = table<Wrap>({
  kek: required('kek', text),
  keyMaterialId: nullable('key_material_id', text),
  wrapId: required('wrap_id', uuid),
  wrapped: required('wrapped', bytes),
  created: required('created', date),
});

/** The columns that never change once a key is stored. */
export const FIXED_KEY_COLUMNS: readonly Column[] = table<Pick<KeyRecord, FixedProperty>>({
  fingerprint: required('fingerprint', uuid),
  ...scope,
  kind: required('kind', kind),
  version: required('version', count),
  commitment: required('commitment', bytes32),
  created: required('created', date),
});

/** The columns that `update` writes. */
export const MUTABLE_KEY_COLUMNS: readonly Column[] = table<Omit<KeyRecord, FixedProperty | 'wraps'>>({
  state: required('state', state),
  stateBefore: nullable('state_before', state),
  publicKey: nullable('public_key', bytes),
  activates: nullable('activates', date),
  retires: nullable('retires', date),
  destroysAfter: nullable('destroys_after', date),
  cells: required('cells', count),
  bytes: required('bytes', count),
  prefixes: required('prefixes', count),
  revision: required('revision', count),
  rowMac: required('row_mac', bytes32),
});

export const EVENT_COLUMNS: readonly Column[] = table<KeyEvent>({
  ...scope,
  seq: required('seq', count),
  at: required('at', date),
  who: required('who', text),
  fingerprint: required('fingerprint', uuid),
  from: nullable('from_state', state),
  to: required('to_state', state),
  why: required('why', text),
  previous: required('previous', bytes32),
  hash: required('hash', bytes32),
  mac: required('mac', bytes32),
});

/** Whether this is a fingerprint as the store keeps them: a UUID in lower case. */
export function isUuid(value: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(value);
}

/** The select list of these columns, each under its property name. */
export function selectList(columns: readonly Column[]): string {
  return columns.map(({ select, property }) => `${select} AS "${property}"`).join(', ');
}

/**
 * The values of one row by property name.
 * @throws StoreError `ERR_STORE_ROW` naming table, row, column, what was expected and the type of what was got.
 */
export function parseRow(
  tableName: string,
  columns: readonly Column[],
  row: Readonly<Record<string, string | null | undefined>>,
  rowName: string,
): Record<string, unknown> {
  const entries = columns.map(({ property, name, parse, expected }) => {
    const value = parse(row[property]);
    if (value !== undefined) return [property, value] as const;
    const text = row[property];
    const got = typeof text === 'string' ? `text of ${text.length} characters` : 'NULL';
    throw new StoreError(
      'ERR_STORE_ROW',
      `Key store, table ${tableName}, row ${rowName}, column ${name}: expected ${expected}, got ${got}. The row was changed outside the key service; restore it from a backup.`,
    );
  });
  return Object.fromEntries(entries);
}

/** The parameters that write these columns of a record. */
export function parametersOf(columns: readonly Column[], record: object): unknown[] {
  const values = record as Readonly<Record<string, unknown>>;
  return columns.map(({ property }) => {
    const value = values[property];
    // pg would write a Date in the process's local time.
    return isDate(value) ? value.toISOString() : value;
  });
}

function required(name: string, type: ColumnType<unknown>): Omit<Column, 'property'> {
  return {
    name,
    select: type.select(name),
    parse: (value) => (typeof value === 'string' ? type.parse(value) : undefined),
    expected: type.expected,
  };
}

function nullable(name: string, type: ColumnType<unknown>): Omit<Column, 'property'> {
  const { parse, ...column } = required(name, type);
  return {
    ...column,
    parse: (value) => (value === null ? null : parse(value)),
    expected: `${type.expected} or NULL`,
  };
}

/** Typed by the record, so that a property without a column, or the other way round, does not compile. */
function table<Row>(columns: Readonly<Record<keyof Row, Omit<Column, 'property'>>>): readonly Column[] {
  return Object.entries<Omit<Column, 'property'>>(columns).map(([property, column]) => ({
    property,
    ...column,
  }));
}

function ofLength(length: number, hex: string): Buffer | undefined {
  const value = bytes.parse(hex);
  return value?.length === length ? value : undefined;
}

function parseDate(value: string): Date | undefined {
  const parsed = DATE_MS.test(value) ? new Date(Number(value)) : undefined;
  return parsed === undefined || Number.isNaN(parsed.getTime()) ? undefined : parsed;
}
