/** Options of a field seal. */
import { ConfigError } from '../errors.js';
import { systemClock } from './clock.js';
import type { FieldSealEvent } from './events.js';
import {
  callback,
  contextName,
  group,
  join,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  wholeNumber,
  withDefault,
  type ParsedOptions,
} from './options.js';
import { parsePolicies } from './policy.js';
import type { Policy, PurposeOptions } from './policy.js';
import type { Access, Clock, KeySource, RandomBelow } from './ports.js';
import { PRIVILEGE_CHECKS, type PrivilegeCheck } from './privilege-check.js';
import { bufferedRandomBelow } from './random.js';

export interface FieldSealOptions {
  /** Owner of the data, the same in all its processes. Bound into keys and cells. */
  readonly application: string;
  /** Such as `'production'`. Bound into cells: what one environment sealed no other opens. */
  readonly environment: string;
  /** Settings by purpose; `{}` takes the defaults. At least one purpose. */
  readonly purposes: Readonly<Record<string, PurposeOptions>>;
  /** Where keys come from. The field seal starts and closes it. */
  readonly keys: KeySource;
  /**
   * What this process may do; it loads no key for the rest. `'write-only'` takes no purpose of pool delivery, whose keys
   * open what they seal. Default `'read-write'`.
   */
  readonly access?: Access;
  /**
   * Whether a write-only process proves at start that the KMS denies it everything that opens: `'enforce'` fails the
   * start where something is not denied, `'warn'` raises an alarm. Default `'enforce'`.
   */
  readonly privilegeCheck?: PrivilegeCheck;
  /** Told of refreshes, failures, revocations and alarms. A throw in it is swallowed and counted in `stats()`. */
  readonly onEvent?: (event: FieldSealEvent) => void;
  readonly keyring?: {
    /**
     * Keys kept for opening, all purposes together, beyond those of the pools; as many private keys and as many session
     * keys of sealed delivery. Default 1,000, 1 to 1,000,000.
     */
    readonly max?: number;
  };
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: the platform's generator, uniform. Chooses keys, never makes them. */
  readonly randomBelow?: RandomBelow;
}

export interface ParsedFieldSealOptions {
  readonly application: string;
  readonly environment: string;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly source: KeySource;
  readonly access: Access;
  readonly privilegeCheck: PrivilegeCheck;
  readonly onEvent: ((event: FieldSealEvent) => unknown) | undefined;
  readonly keyringMax: number;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
}

const MAX_KEYRING = 1_000_000;
const ACCESSES = ['read-write', 'write-only', 'read-only'] as const satisfies readonly Access[];

const table = {
  application: contextName(),
  environment: contextName(),
  purposes: parsePolicies,
  keys: objectWith<KeySource>('a key source, such as keyStoreSource({ store, kms }) or kmsSource({ kms })', [
    'start',
    'handOut',
    'publicKeys',
    'load',
    'indexKeys',
    'makeEnvelopeKey',
    'openEnvelopeKey',
    'mac',
    'notDenied',
    'kmsCalls',
    'close',
  ]),
  access: withDefault(oneOf(ACCESSES), 'read-write'),
  privilegeCheck: withDefault(oneOf(PRIVILEGE_CHECKS), 'enforce'),
  onEvent: optional(callback<(event: FieldSealEvent) => unknown>()),
  keyring: group({ max: withDefault(wholeNumber(1, MAX_KEYRING), 1_000) }),
  clock: withDefault(objectWith<Clock>('a clock', ['wall', 'monotonic', 'after']), systemClock),
  randomBelow: optional(callback<RandomBelow>()),
};

/** Everything but where keys come from, which a command that only reads the settings has no use for. */
export type FieldSealSettings = Omit<ParsedFieldSealOptions, 'source'>;

/** @throws ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_POOL_NOT_WRITE_ONLY`. */
export function parseFieldSealOptions(options: unknown): ParsedFieldSealOptions {
  const given = parseOptions(table, options, '');
  return { ...settingsOf(given, ''), source: given.keys };
}

/**
 * The same options for whoever makes no field seal of them: `keys` may be left out and is not looked at.
 * @param path Where the options stand, for messages.
 * @throws ConfigError as `parseFieldSealOptions`.
 */
export function parseFieldSealSettings(options: unknown, path: string): FieldSealSettings {
  return settingsOf(parseOptions({ ...table, keys: () => undefined }, options, path), path);
}

function settingsOf(given: Omit<ParsedOptions<typeof table>, 'keys'>, path: string): FieldSealSettings {
  const { application, environment, purposes, access, privilegeCheck, onEvent, keyring, clock } = given;
  if (access === 'write-only') refusePools(purposes, path);
  return {
    application,
    environment,
    policies: purposes,
    access,
    privilegeCheck,
    onEvent,
    keyringMax: keyring.max,
    clock,
    randomBelow: given.randomBelow ?? bufferedRandomBelow(),
  };
}

/**
 * Whoever holds the keys of a pool opens what any process has sealed under them.
 * @throws ConfigError `ERR_CONFIG_POOL_NOT_WRITE_ONLY`.
 */
export function refusePools(policies: ReadonlyMap<string, Policy>, path = ''): void {
  for (const { purpose, delivery } of policies.values()) {
    if (delivery !== 'pool') continue;
    throw new ConfigError(
      'ERR_CONFIG_POOL_NOT_WRITE_ONLY',
      `${join(path, `purposes.${purpose}.delivery`)}: expected 'envelope' or 'sealed' where a process or a view only writes, got 'pool', whose keys ` +
        'open what they seal; choose another delivery, or leave the purpose out here.',
    );
  }
}
