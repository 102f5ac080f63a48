/** The field seal: one application's purposes at work in this process. */
import { AccessedFieldSeal } from './accessed-field-seal.js';
import { parseFieldSealOptions } from './field-seal-options.js';
import type { FieldSealOptions } from './field-seal-options.js';
import type { FieldSealPages } from './field-seal.js';
import { FieldSealWork } from './field-seal-work.js';
import type { ValueOptions } from './single-value.js';

export type { FieldSealOptions } from './field-seal-options.js';
export type { ValueOptions } from './single-value.js';

/** Counters since {@link createFieldSeal}. */
export interface FieldSealStats {
  readonly cellsSealed: number;
  readonly cellsOpened: number;
  /** Cells that were asked for and could not be opened. */
  readonly openFailures: number;
  /** Calls of the KMS per operation, retries included. */
  readonly kmsCalls: Readonly<Record<string, number>>;
  /** Keys that were loaded for opening. */
  readonly unwraps: number;
  /** Keys held for opening, beyond those of the pools: data keys, private keys and session keys. */
  readonly keyringSize: number;
  /** Events on which `onEvent` threw. */
  readonly listenerErrors: number;
  /** By purpose; of sealed delivery, the public keys. */
  readonly pools: Readonly<Record<string, PoolStats>>;
}

export interface PoolStats {
  readonly keys: number;
  /** Since the last successful refresh. */
  readonly ageMs: number;
  /** How long sealing would go on if the key source failed from now on. */
  readonly outageMinutes: number;
}

/** Seals and opens under the purposes it was made with. Prints neither keys nor settings beyond their names. */
export interface FieldSeal extends FieldSealPages {
  /**
   * One value as a cell, for places outside an ORM. Synchronous, no I/O; for purposes of pool delivery. After the process
   * stood still (SIGSTOP, a function that was frozen) its keys may have run out: `sealAsync` waits for new ones, this throws.
   * @param name `'entity.field'`, split at the first dot; part of the authenticated context.
   * @throws SealError, `ERR_SEAL_NOT_PREPARED` for other deliveries; KeyError `ERR_POOL_STALE`, `ERR_POOL_EMPTY`,
   * `ERR_CLOSED`; ConfigError `ERR_CONFIG_PURPOSE_UNKNOWN`, `ERR_CONFIG_FIELD`, `ERR_CONFIG_OPTION`.
   */
  seal(purpose: string, name: string, value: unknown, options?: ValueOptions): Buffer;
  /**
   * As `seal`, for every delivery: what has to be made is made, with one KMS call for envelope delivery.
   * @throws as `seal` and `prepare`.
   */
  sealAsync(purpose: string, name: string, value: unknown, options?: ValueOptions): Promise<Buffer>;
  /**
   * The value of one cell. Asks the key source when the key is not here.
   * @throws FormatError, OpenError, KeyError, KmsError as the cell and its key have it; ConfigError as for `seal`.
   */
  open(purpose: string, name: string, cell: Uint8Array, options?: ValueOptions): Promise<unknown>;
  /**
   * This field seal with nothing but writing: a view that guards against mistakes. What the process holds it still holds;
   * only a process of its own, with `access: 'write-only'`, keeps secrets from whoever takes it over.
   * @throws ConfigError `ERR_CONFIG_POOL_NOT_WRITE_ONLY`; `ERR_CONFIG_OPTION` on a field seal that only reads.
   */
  writeOnly(): FieldSeal;
  /** This field seal with nothing but reading. @throws ConfigError `ERR_CONFIG_OPTION` on one that only writes. */
  readOnly(): FieldSeal;
  stats(): FieldSealStats;
  /**
   * Stops timers, drops keys, closes the key source; views are closed with it, and it with them. Idempotent; everything
   * else throws `ERR_CLOSED` afterwards. Takes 5 seconds at most: what does not end by then, since a database is frozen
   * for instance, is cut off, and a `warning` says so.
   */
  close(): Promise<void>;
}

/**
 * A field seal whose pools and index keys are warm: sealing needs no I/O from then on, but for deliveries with keys of
 * their own. Its timers do not keep the process alive. When it cannot start, everything it opened is closed again.
 *
 * @throws ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_POOL_NOT_WRITE_ONLY`; every error of the key source; KmsError
 * `ERR_KMS_TOO_MUCH_PRIVILEGE`; KeyError `ERR_POOL_EMPTY`, `ERR_KEY_NOT_FOUND`, `ERR_KEY_COMMITMENT`,
 * `ERR_KEY_UNAVAILABLE` (also when the source takes longer than a minute).
 */
export async function createFieldSeal(options: FieldSealOptions): Promise<FieldSeal> {
  const parsed = parseFieldSealOptions(options);
  const work = new FieldSealWork(parsed);
  await work.keys.start();
  return new AccessedFieldSeal(work, parsed.access);
}
