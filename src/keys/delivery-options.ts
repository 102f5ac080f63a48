/** How cells get to their keys: the settings of deliveries and blind indexes in a purpose's policy. */
import {
  duration,
  group,
  listOf,
  oneOf,
  optional,
  optionError,
  parseOptions,
  wholeNumber,
  withDefault,
} from './options.js';
import type { Duration } from './policy.js';
import type { Delivery } from './ports.js';

/** Where a blind index comes from. */
export type IndexSource = 'local' | 'later';

/** Settings of envelope delivery. */
export interface EnvelopeOptions {
  /**
   * Seals several cells under one data key, to spend fewer calls of the KMS: at most so many cells (1 to 1,000,000), for
   * at most so long (1 second to 1 hour). Whoever takes the process over opens what it sealed within that window.
   * Default: a data key of its own for each record (all fields of a purpose in a row).
   */
  readonly reuse?: { readonly cells: number; readonly for: Duration };
  /**
   * Data keys that one page may have unwrapped, a call of the KMS each; beyond it cells fail with `ERR_KEY_UNAVAILABLE`.
   * Whoever writes rows decides how many there are. Default 1,000, 1 to 1,000,000.
   */
  readonly unwrapsPerPage?: number;
}

export interface EnvelopePolicy {
  /** Undefined: a data key for each record. */
  readonly reuse: { readonly cells: number; readonly forMs: number } | undefined;
  readonly unwrapsPerPage: number;
}

export interface IndexPolicy {
  readonly source: IndexSource;
  /** The first writes, all are searched. */
  readonly versions: readonly number[];
}

/** What one data key of a reuse window seals at most; within the limit of one nonce prefix of suite 2. */
const MAX_REUSE_CELLS = 1_000_000;
const MAX_UNWRAPS_PER_PAGE = 1_000_000;

export const DELIVERIES = ['pool', 'envelope'] as const satisfies readonly Delivery[];
const INDEX_SOURCES = ['local', 'later'] as const satisfies readonly IndexSource[];
/** The index version is one byte of the message that a blind index authenticates. */
const MAX_INDEX_VERSION = 255;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

const reuseTable = {
  cells: wholeNumber(1, MAX_REUSE_CELLS),
  for: duration(SECOND_MS, HOUR_MS),
};

const envelopeTable = {
  reuse: optional(group(reuseTable)),
  unwrapsPerPage: withDefault(wholeNumber(1, MAX_UNWRAPS_PER_PAGE), 1_000),
};

const ENVELOPE_DEFAULTS = parseOptions(envelopeTable, {}, '');

const indexVersions = withDefault(listOf(wholeNumber(1, MAX_INDEX_VERSION), 1), Object.freeze([1]));

/** How a purpose's delivery is written: by its name alone, or with its settings. */
export function deliveryRule(
  value: unknown,
  path: string,
): { readonly name: Delivery; readonly envelope: EnvelopePolicy } {
  const isNamed = typeof value !== 'object' || value === null;
  const name = isNamed ? oneOf(DELIVERIES)(value, path) : 'envelope';
  const { envelope } = parseOptions({ envelope: optional(group(envelopeTable)) }, isNamed ? {} : value, path);
  if (!isNamed && envelope === undefined)
    throw optionError(path, `one of ${DELIVERIES.join(', ')}, or { envelope: … }`, 'an object without it');
  const { reuse, unwrapsPerPage } = envelope ?? ENVELOPE_DEFAULTS;
  return {
    name,
    envelope: Object.freeze({
      reuse: reuse && Object.freeze({ cells: reuse.cells, forMs: reuse.for }),
      unwrapsPerPage,
    }),
  };
}

export function indexRule(value: unknown, path: string): IndexPolicy {
  const source = withDefault(oneOf(INDEX_SOURCES), 'local');
  const isNamed = typeof value === 'string';
  return parseOptions({ source, versions: indexVersions }, isNamed ? { source: value } : value, path);
}
