/** What an ORM folder takes: sealing and opening of whole pages, column by column. */
import type { CodecName } from '../cell/codecs.js';
import type { MaskName } from '../cell/mask.js';
import type { FieldSealError } from '../errors.js';
import type { Access } from './ports.js';
import type { Ready } from './ready.js';

/**
 * Marks field seals. Registered, so that two copies of the package in one process (ESM and CommonJS, two installs)
 * know each other's; `instanceof` does not.
 */
export const FIELD_SEAL_BRAND = Symbol.for('fieldseal/field-seal');

/** Marks blind indexes that are still to be made; registered for the same reason. */
export const PENDING_INDEX_BRAND = Symbol.for('fieldseal/pending-index');

/** How a column was declared before. What is left out was as it is. */
export interface PreviousDeclaration {
  readonly entity?: string;
  readonly field?: string;
  readonly codec?: CodecName;
  readonly bound?: boolean;
  /** Makes a value of the present type of one of the older; required where they differ. */
  readonly convert?: (value: never) => unknown;
  /**
   * What a value of the present type was indexed as: of the older type, and normalised as it was then; undefined for a
   * value that had none. Required where types differ and the column has a blind index.
   */
  readonly revert?: (value: never) => unknown;
}

/** Declares one encrypted column. Two declarations with the same entity and field must agree in everything. */
export interface FieldDeclaration {
  readonly purpose: string;
  /** Table name as the ORM resolves it, or the first part of `context`. Part of the authenticated context. */
  readonly entity: string;
  /** Column name as the ORM resolves it, or the second part of `context`. Part of the authenticated context. */
  readonly field: string;
  readonly codec: CodecName;
  /** Pad values to a multiple of this many bytes (ISO/IEC 7816-4), 1 to 255. Default: no padding. */
  readonly pad?: number;
  /** Whether cells are bound to other values of their row (then each cell needs its binding). Left out: nobody said so. */
  readonly bound?: boolean;
  /** Whether the column has a blind index, and what is applied to a value before it is indexed. */
  readonly blindIndex?: {
    readonly normalize?: (value: never) => unknown;
    /** Whether a row may be stored without its index, which is made later. Default false. */
    readonly later?: boolean;
  };
  /** A truncated form of each value, to be stored beside its cell. */
  readonly mask?: MaskName;
  /** Opens and finds cells of this older declaration as well. Nothing is sealed under it. */
  readonly previously?: PreviousDeclaration;
}

/** A declared column; a handle that only the field seal which made it understands. */
export interface FieldColumn {
  readonly purpose: string;
  readonly entity: string;
  readonly field: string;
  readonly codec: CodecName;
  /** Whether its blind indexes are pending when they are made or searched. */
  readonly hasPendingIndexes?: boolean;
}

/**
 * A blind index that the KMS makes when the statement in which it stands is sent. Whoever sends statements puts the bytes in
 * its place; drivers refuse it as it is. It never shows its value, and its bytes once they are made.
 */
export interface PendingIndex {
  readonly [PENDING_INDEX_BRAND]: true;
  /**
   * The 16 bytes; made once, however often they are asked for, and anew after a failure. One KMS call.
   * @throws KmsError; KeyError `ERR_KEY_UNAVAILABLE`; ConfigError where there is no MAC key.
   */
  make(): Promise<Buffer>;
  /** The bytes, once they are made. */
  readonly bytes: Buffer | undefined;
  /** Whether the other one is of an equal value of the same column and version. */
  isSameAs(other: PendingIndex): boolean;
}

/** 16 bytes, or who makes them. */
export type IndexValue = Buffer | PendingIndex;

/** Values of one column, one per row. `null` and `undefined` are not sealed. */
export interface ValuesOfColumn {
  readonly column: FieldColumn;
  readonly values: readonly unknown[];
  /** Encoded bound values, one per row; required exactly where the column is bound and the value is set. */
  readonly bindings?: readonly (Uint8Array | undefined)[];
}

/** Sealed values of one column, one per row, in the order of the rows; `null` where there was no value. */
export interface SealedColumn {
  readonly cells: readonly (Buffer | null)[];
  /** Fingerprint of each cell's key, as a UUID in lower case. */
  readonly fingerprints: readonly (string | null)[];
  /** Undefined where the column has no blind index; pending where the purpose has its indexes made by the KMS. */
  readonly indexes: readonly (IndexValue | null)[] | undefined;
  /** Undefined where the column has no mask. */
  readonly masks: readonly (string | null)[] | undefined;
}

/** Cells of one column, one per row. `null` and `undefined` stay unset. */
export interface CellsOfColumn {
  readonly column: FieldColumn;
  readonly cells: readonly (Uint8Array | null | undefined)[];
  /** Fingerprints from the sibling column where they were read; a difference to the cell's is refused. */
  readonly fingerprints?: readonly (string | null | undefined)[] | undefined;
  readonly bindings?: readonly (Uint8Array | undefined)[] | undefined;
  /** Bindings under the older declaration; required where that is bound. */
  readonly previousBindings?: readonly (Uint8Array | undefined)[] | undefined;
}

/** Opened values of one column. `values[row]` is undefined where `failures` has the row, null where there was no cell. */
export interface OpenedColumn {
  readonly values: readonly unknown[];
  /** What failed, by row; undefined when nothing did. */
  readonly failures: ReadonlyMap<number, FieldSealError> | undefined;
}

/** Keys that were fetched for one statement. */
export interface PreparedKeys {
  /** Drops them; to be called when the statement is done, whatever became of it. */
  close(): void;
}

/** The part of a field seal that ORM adapters use. All methods are safe to call concurrently. */
export interface FieldSealPages {
  /** `write-only`: `openPage` is never called; whatever is read stays sealed. `read-only`: nothing is sealed. */
  readonly access: Access;
  readonly application: string;
  readonly environment: string;
  /**
   * Declares a column.
   * @throws ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`, `ERR_CONFIG_DUPLICATE_CONTEXT`.
   */
  column(declaration: FieldDeclaration): FieldColumn;
  /**
   * Gets the keys that sealing these rows will need. Nothing for pool delivery, whose keys are already here; where they have
   * run out while no refresh failed, as after the process stood still, one is waited for. For
   * envelope delivery one KMS call a row and purpose, eight at a time; for sealed delivery 0.3 ms of this process each.
   * @throws KmsError; KeyError `ERR_KEY_UNAVAILABLE`, `ERR_POOL_STALE`, `ERR_POOL_EMPTY`, `ERR_CLOSED`; SealError `ERR_SEAL_READ_ONLY`. Nothing is held then.
   */
  prepare(rows: readonly ValuesOfColumn[]): Promise<PreparedKeys>;
  /**
   * Seals the values of one statement: one key per row and purpose. Synchronous, no I/O.
   * @param prepared Of the same rows; needed for all but pool delivery.
   * @throws SealError, `ERR_SEAL_NOT_PREPARED` among them; KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`, `ERR_CLOSED`.
   * Nothing is sealed then.
   */
  sealRows(rows: readonly ValuesOfColumn[], prepared?: PreparedKeys): readonly SealedColumn[];
  /**
   * Opens a page: loads the keys that are missing in one batch per purpose, then opens column by column.
   * A cell that cannot be opened is reported by its row and does not hinder its neighbours. A promise only where a key
   * has to be loaded: then it is what fails, else the call itself.
   * @throws KeyError `ERR_CLOSED` only.
   */
  openPage(page: readonly CellsOfColumn[]): Ready<readonly OpenedColumn[]>;
  /**
   * Blind index values under which rows with this value may be stored: one per index key version of the policy, the one
   * that is written first, and as many for an older declaration. Pending where the KMS makes them.
   * Synchronous, no I/O.
   * @throws SealError `ERR_SEAL_TYPE`, `ERR_SEAL_VALUE`; QueryError `ERR_QUERY_NO_BLIND_INDEX`.
   */
  searchIndexes(column: FieldColumn, value: unknown): readonly IndexValue[];
  /** Tells the listener of the field seal, as an event of type `warning`. */
  warn(code: string, message: string): void;
}

/** True for those of any copy of the package in this process. */
export function isPendingIndex(value: unknown): value is PendingIndex {
  return typeof value === 'object' && value !== null && PENDING_INDEX_BRAND in value;
}

/** True for field seals of any copy of the package in this process. */
export function isFieldSeal(value: unknown): value is FieldSealPages {
  return typeof value === 'object' && value !== null && FIELD_SEAL_BRAND in value;
}
