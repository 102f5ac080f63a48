/** The cipher suites: a table. Nothing else knows their names. */
import { ConfigError } from '../errors.js';
import { Aes256SivKey } from './aes-256-siv.js';
import type { Batch, BatchOf } from './batch.js';
import type { CellColumn } from './column.js';
import { Xaes256GcmKey } from './xaes-256-gcm.js';

export type Suite = 'aes-256-siv' | 'xaes-256-gcm';

/** What cells of one key and byte 1 have in common in their context. */
export type KeyedCells = Pick<BatchOf, 'byteOne' | 'fingerprint'>;

/** A data key's key for one suite. */
export interface SuiteKey {
  /** Makes now what the first such cell of the column would make: it is then sealed like any other. */
  prepare(column: CellColumn, of: KeyedCells): void;
  /** Seals the texts of the batch into its frames, whose headers stand already. */
  seal(batch: Batch): void;
  /** Opens the frames of the batch into its texts and sets `verified`; texts that fail are zero afterwards. */
  open(batch: Batch): void;
  close(): void;
}

export interface SuiteEntry {
  readonly suite: Suite;
  /** Bits 0-2 of byte 1. */
  readonly id: number;
  /** Label of the suite's key in the key schedule. */
  readonly label: string;
  readonly keyBytes: number;
  readonly nonceBytes: number;
  /** The bytes are copied; the caller wipes them. */
  key(keyBytes: Buffer, fingerprint: string): SuiteKey;
}

/** Both suites have tags of 16 bytes. */
export const TAG_BYTES = 16;

export const SUITES: readonly SuiteEntry[] = [
  {
    suite: 'aes-256-siv',
    id: 1,
    label: 'siv',
    keyBytes: 64,
    nonceBytes: 16,
    key: (keyBytes) => new Aes256SivKey(keyBytes),
  },
  {
    suite: 'xaes-256-gcm',
    id: 2,
    label: 'xaes',
    keyBytes: 32,
    nonceBytes: 24,
    key: (keyBytes, fingerprint) => new Xaes256GcmKey(keyBytes, fingerprint),
  },
];

const BY_NAME: ReadonlyMap<string, SuiteEntry> = new Map(SUITES.map((entry) => [entry.suite, entry]));

/** @throws ConfigError `ERR_CONFIG_OPTION` when there is no such suite */
export function suiteEntry(suite: string): SuiteEntry {
  const entry = BY_NAME.get(suite);
  if (entry) return entry;
  const known = [...BY_NAME.keys()].join(', ');
  throw new ConfigError('ERR_CONFIG_OPTION', `suite: expected one of ${known}; got another ${typeof suite}.`);
}
