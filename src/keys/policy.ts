/** The policy of a purpose: every setting, its default, and its validation. */
import type { Accepted } from '../cell/open.js';
import type { Suite } from '../cell/suites.js';
import {
  defaultIndex,
  DELIVERIES,
  deliveryRule,
  indexRule,
  type DeliveryPolicy,
  type EnvelopeOptions,
  type IndexPolicy,
  type IndexSource,
  type SealedOptions,
} from './delivery-options.js';
import type { ParsedOptions } from './options.js';
import {
  describeValue,
  duration,
  flag,
  group,
  listOf,
  mapOf,
  oneOf,
  optional,
  optionError,
  parseOptions,
  text,
  wholeNumber,
  withDefault,
} from './options.js';
import type { Delivery } from './ports.js';

/** A duration: milliseconds, or a string such as `'90s'`, `'15m'`, `'2h'`, `'30d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/** A purpose's settings as they are written; each is optional. */
export interface PurposeOptions {
  readonly pool?: {
    /** Keys of the purpose that may seal. Default 15, 1 to 1,000. */
    readonly validKeys?: number;
    /** Keys that one process holds at a time. Default 3, at most `validKeys`. */
    readonly handOut?: number;
    /** How long a process seals with one hand-out. Default `'1h'`, at least `'1s'`. */
    readonly lifetime?: Duration;
    /** Keys made ahead. Default 3. */
    readonly futureKeys?: number;
  };
  readonly key?: {
    /** How long a key seals. Default `'30d'`, more than `pool.lifetime`. */
    readonly sealFor?: Duration;
    /** How long a process keeps a key for opening, from unwrap, never extended by use. Default `'2h'`. */
    readonly openCache?: Duration;
    /** Cells after which a key stops sealing. Default 2^40. */
    readonly maxCells?: number;
    /** Plaintext bytes after which a key stops sealing. Default 2^50. */
    readonly maxBytes?: number;
    /** From DECRYPT to RECRYPT. Default `'335d'`. */
    readonly recryptWithin?: Duration;
  };
  readonly outage?: {
    /** How long a process seals on with its last pool when the key source is out of reach. Default one pool lifetime. */
    readonly seal?: Duration;
  };
  /** Whether one KEK alone is an error (true) or a warning (false). Default false. */
  readonly requireKekSpread?: boolean;
  /** Cipher of new cells. Default `'aes-256-siv'`. */
  readonly suite?: Suite;
  /**
   * How a reader of a cell gets its key. `'pool'`: from the key source; every process that seals can open as well.
   * `'envelope'`: from the cell, which carries a data key of its own under a KEK; who seals needs GenerateDataKey only,
   * who opens needs Decrypt. `'sealed'`: from the cell, which carries a session key sealed to a key pair; who seals needs
   * public keys only, who opens the private one from the key source. Default `'pool'`.
   */
  readonly delivery?:
    | 'pool'
    | 'envelope'
    | 'sealed'
    | { readonly envelope: EnvelopeOptions }
    | { readonly sealed: SealedOptions };
  /** What fields of this purpose open. Default: the suite and the delivery that they write. */
  readonly accept?: { readonly suites?: readonly Suite[]; readonly deliveries?: readonly Delivery[] };
  /**
   * Blind indexes. `source`: `'local'` makes them in this process, with a key from the key store; `'later'` does so too,
   * but a write-only process, which must not have that key, leaves them NULL until `fillBlindIndexes` has run; with `'kms'`
   * the KMS makes them under a MAC key that never leaves it, a call (GenerateMac) for each value written or searched.
   * `versions`: the first writes, all are searched. Default `{ source: 'local', versions: [1] }`; with envelope delivery,
   * which needs no key store, no index keys at all.
   */
  readonly index?: IndexSource | { readonly source?: IndexSource; readonly versions?: readonly number[] };
  /** How long backups of the application's database live. Default `'35d'`. */
  readonly backupRetention?: Duration;
  /** How long backups of the key store live. Default `'35d'`. */
  readonly keyStoreBackupRetention?: Duration;
  /** Longest transaction plus replica lag plus clock error. Default `'1h'`. */
  readonly drain?: Duration;
  /** Fingerprint that the store key of this purpose must have. */
  readonly storeKey?: string;
  /** `'pan'` turns on the warnings that card numbers deserve. */
  readonly class?: 'pan';
}

/** A purpose's settings after validation: every default filled in, durations in milliseconds, frozen. */
export interface Policy extends DeliveryPolicy {
  readonly purpose: string;
  readonly pool: {
    readonly validKeys: number;
    readonly handOut: number;
    readonly lifetimeMs: number;
    readonly futureKeys: number;
  };
  readonly key: {
    readonly sealForMs: number;
    readonly openCacheMs: number;
    readonly maxCells: number;
    readonly maxBytes: number;
    readonly recryptWithinMs: number;
  };
  readonly outage: { readonly sealMs: number };
  readonly requireKekSpread: boolean;
  readonly suite: Suite;
  readonly accept: Accepted;
  readonly index: IndexPolicy;
  readonly backupRetentionMs: number;
  readonly keyStoreBackupRetentionMs: number;
  readonly drainMs: number;
  readonly storeKey: string | undefined;
  readonly class: 'pan' | undefined;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;
const MAX_VALID_KEYS = 1_000;
const MAX_PURPOSE_LENGTH = 64;

const SUITES = ['aes-256-siv', 'xaes-256-gcm'] as const satisfies readonly Suite[];
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const purposeTable = {
  pool: group({
    validKeys: withDefault(wholeNumber(1, MAX_VALID_KEYS), 15),
    handOut: optional(wholeNumber(1, MAX_VALID_KEYS)),
    lifetime: withDefault(duration(SECOND_MS), HOUR_MS),
    futureKeys: withDefault(wholeNumber(1, MAX_VALID_KEYS), 3),
  }),
  key: group({
    sealFor: withDefault(duration(SECOND_MS), 30 * DAY_MS),
    openCache: withDefault(duration(SECOND_MS), 2 * HOUR_MS),
    maxCells: withDefault(wholeNumber(1, Number.MAX_SAFE_INTEGER), 2 ** 40),
    maxBytes: withDefault(wholeNumber(1, Number.MAX_SAFE_INTEGER), 2 ** 50),
    recryptWithin: withDefault(duration(), 335 * DAY_MS),
  }),
  outage: group({ seal: optional(duration()) }),
  requireKekSpread: withDefault(flag(), false),
  suite: withDefault(oneOf(SUITES), 'aes-256-siv'),
  delivery: withDefault(deliveryRule, deliveryRule('pool', 'delivery')),
  accept: group({
    suites: optional(listOf(oneOf(SUITES), 1)),
    deliveries: optional(listOf(oneOf(DELIVERIES), 1)),
  }),
  index: optional(indexRule),
  backupRetention: withDefault(duration(), 35 * DAY_MS),
  keyStoreBackupRetention: withDefault(duration(), 35 * DAY_MS),
  drain: withDefault(duration(), HOUR_MS),
  storeKey: optional(text('a fingerprint as a UUID in lower case', (value) => UUID.test(value))),
  class: optional(oneOf(['pan'])),
};

/**
 * The policies of all purposes, by purpose.
 * @throws ConfigError `ERR_CONFIG_OPTION`, naming the option: `purposes.card-number.pool.validKeys`.
 */
export function parsePolicies(purposes: unknown, path = 'purposes'): ReadonlyMap<string, Policy> {
  const given = mapOf((value) => value)(purposes, path);
  if (given.size === 0) throw optionError(path, 'at least one purpose', 'an empty object');
  return new Map([...given].map(([purpose, options]) => [purpose, parsePolicy(purpose, options, path)]));
}

/**
 * One purpose's policy: checked, every default filled in, frozen.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parsePolicy(purpose: string, options: unknown = {}, path = 'purposes'): Policy {
  if (purpose.length > MAX_PURPOSE_LENGTH || !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(purpose)) {
    const got = purpose.length <= MAX_PURPOSE_LENGTH ? `'${purpose}'` : describeValue(purpose);
    throw optionError(
      path,
      `purpose names of lower case letters, digits and single dashes, up to ${MAX_PURPOSE_LENGTH}`,
      got,
    );
  }
  const parsed = parseOptions(purposeTable, options, `${path}.${purpose}`);
  const policy = withDerivedDefaults(purpose, parsed);
  checkTogether(policy, `${path}.${purpose}`);
  return policy;
}

function withDerivedDefaults(purpose: string, parsed: ParsedOptions<typeof purposeTable>): Policy {
  const { pool, key } = parsed;
  return Object.freeze({
    purpose,
    pool: Object.freeze({
      validKeys: pool.validKeys,
      handOut: pool.handOut ?? Math.min(3, pool.validKeys),
      lifetimeMs: pool.lifetime,
      futureKeys: pool.futureKeys,
    }),
    key: Object.freeze({
      sealForMs: key.sealFor,
      openCacheMs: key.openCache,
      maxCells: key.maxCells,
      maxBytes: key.maxBytes,
      recryptWithinMs: key.recryptWithin,
    }),
    outage: Object.freeze({ sealMs: parsed.outage.seal ?? pool.lifetime }),
    requireKekSpread: parsed.requireKekSpread,
    suite: parsed.suite,
    ...parsed.delivery,
    accept: Object.freeze({
      suites: parsed.accept.suites ?? Object.freeze([parsed.suite]),
      deliveries: parsed.accept.deliveries ?? Object.freeze([parsed.delivery.delivery]),
    }),
    index: parsed.index ?? defaultIndex(parsed.delivery.delivery),
    backupRetentionMs: parsed.backupRetention,
    keyStoreBackupRetentionMs: parsed.keyStoreBackupRetention,
    drainMs: parsed.drain,
    storeKey: parsed.storeKey,
    class: parsed.class,
  });
}

/** Rules between settings, each with the setting that a reader would change. */
function checkTogether(policy: Policy, path: string): void {
  const { pool, key, accept, index } = policy;
  if (pool.handOut > pool.validKeys) {
    throw optionError(
      `${path}.pool.handOut`,
      `at most pool.validKeys (${pool.validKeys})`,
      String(pool.handOut),
    );
  }
  if (pool.lifetimeMs >= key.sealForMs) {
    throw optionError(
      `${path}.pool.lifetime`,
      `less than key.sealFor (${key.sealForMs} ms)`,
      `${pool.lifetimeMs} ms`,
    );
  }
  if (!accept.suites.includes(policy.suite)) {
    throw optionError(
      `${path}.accept.suites`,
      `a list with '${policy.suite}', which the purpose writes`,
      accept.suites.join(', '),
    );
  }
  if (!accept.deliveries.includes(policy.delivery)) {
    throw optionError(
      `${path}.accept.deliveries`,
      `a list with '${policy.delivery}', which the purpose writes`,
      accept.deliveries.join(', '),
    );
  }
  if (new Set(index.versions).size < index.versions.length) {
    throw optionError(`${path}.index.versions`, 'each version once', index.versions.join(', '));
  }
}
