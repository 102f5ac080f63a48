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
export type IndexSource = 'local' | 'later' | 'kms';

/** What deliveries whose cells carry their keys have in common. */
interface ReuseOptions {
  /**
   * Seals several cells under one key, to spend fewer calls of the KMS or less time: at most so many cells (1 to
   * 1,000,000), for at most so long (1 second to 1 hour). Whoever takes the process over opens what it sealed within that
   * window. Default: a key of its own for each record (all fields of a purpose in a row).
   */
  readonly reuse?: { readonly cells: number; readonly for: Duration };
}

/** Settings of envelope delivery. */
export interface EnvelopeOptions extends ReuseOptions {
  /**
   * Data keys that one page may have unwrapped, a call of the KMS each; beyond it cells fail with `ERR_KEY_UNAVAILABLE`.
   * Whoever writes rows decides how many there are. Default 1,000, 1 to 1,000,000.
   */
  readonly unwrapsPerPage?: number;
}

/** Settings of sealed delivery. */
export interface SealedOptions extends ReuseOptions {
  /**
   * Session keys that one page may have opened, about 0.3 ms each during which the process does nothing else; beyond it
   * cells fail with `ERR_KEY_UNAVAILABLE`. Whoever writes rows decides how many there are. Default 1,000, 1 to 1,000,000.
   */
  readonly sessionsPerPage?: number;
}

export interface ReusePolicy {
  readonly cells: number;
  readonly forMs: number;
}

/** What a purpose's delivery comes to. */
export interface DeliveryPolicy {
  readonly delivery: Delivery;
  /** Undefined: a key for each record. Means nothing for pool delivery. */
  readonly reuse: ReusePolicy | undefined;
  readonly envelope: { readonly unwrapsPerPage: number };
  readonly sealed: { readonly sessionsPerPage: number };
}

export interface IndexPolicy {
  readonly source: IndexSource;
  /** The first writes, all are searched. Empty: there are no index keys. */
  readonly versions: readonly number[];
}

/** What one key of a reuse window seals at most; within the limit of one nonce prefix of suite 2. */
const MAX_REUSE_CELLS = 1_000_000;
const MAX_PER_PAGE = 1_000_000;

export const DELIVERIES = ['pool', 'envelope', 'sealed'] as const satisfies readonly Delivery[];
const INDEX_SOURCES = ['local', 'later', 'kms'] as const satisfies readonly IndexSource[];
/** The index version is one byte of the message that a blind index authenticates. */
const MAX_INDEX_VERSION = 255;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

const reuseTable = {
  cells: wholeNumber(1, MAX_REUSE_CELLS),
  for: duration(SECOND_MS, HOUR_MS),
};

const reuse = optional(group(reuseTable));
const perPage = withDefault(wholeNumber(1, MAX_PER_PAGE), 1_000);

/** Settings by delivery; that of a pool has none. */
const settingsTable = {
  envelope: optional(group({ reuse, unwrapsPerPage: perPage })),
  sealed: optional(group({ reuse, sessionsPerPage: perPage })),
};
const DEFAULTS = parseOptions(settingsTable, { envelope: {}, sealed: {} }, '');

const indexVersions = withDefault(listOf(wholeNumber(1, MAX_INDEX_VERSION), 1), Object.freeze([1]));

/** How a purpose's delivery is written: by its name alone, or with its settings. */
export function deliveryRule(value: unknown, path: string): DeliveryPolicy {
  const isNamed = typeof value !== 'object' || value === null;
  const settings = parseOptions(settingsTable, isNamed ? {} : value, path);
  const delivery = isNamed ? oneOf(DELIVERIES)(value, path) : onlyOne(settings, path);
  const given = settings.envelope?.reuse ?? settings.sealed?.reuse;
  return {
    delivery,
    reuse: given && Object.freeze({ cells: given.cells, forMs: given.for }),
    envelope: Object.freeze({ unwrapsPerPage: (settings.envelope ?? DEFAULTS.envelope!).unwrapsPerPage }),
    sealed: Object.freeze({ sessionsPerPage: (settings.sealed ?? DEFAULTS.sealed!).sessionsPerPage }),
  };
}

function onlyOne(settings: Readonly<Record<string, unknown>>, path: string): Delivery {
  const names = DELIVERIES.filter((name) => settings[name] !== undefined);
  if (names.length === 1) return names[0]!;
  const expected = `one of ${DELIVERIES.join(', ')}, { envelope: … } or { sealed: … }`;
  throw optionError(path, expected, names.length === 0 ? 'an object without either' : 'both');
}

export function indexRule(value: unknown, path: string): IndexPolicy {
  const source = withDefault(oneOf(INDEX_SOURCES), 'local');
  const isNamed = typeof value === 'string';
  return parseOptions({ source, versions: indexVersions }, isNamed ? { source: value } : value, path);
}

/** Whether the key store holds keys to index with: not where the KMS makes the indexes, nor where there are none. */
export function hasIndexKeys({ source, versions }: IndexPolicy): boolean {
  return source !== 'kms' && versions.length > 0;
}

/** Where the policy names no index. A purpose of envelope delivery may have no key store to keep index keys in. */
export function defaultIndex(delivery: Delivery): IndexPolicy {
  return delivery === 'envelope' ? NO_INDEX : indexRule(undefined, 'index');
}

const NO_INDEX: IndexPolicy = Object.freeze({ source: 'local', versions: Object.freeze([]) });
