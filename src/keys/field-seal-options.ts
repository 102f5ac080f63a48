/** Options of a field seal. */
import { systemClock } from './clock.js';
import type { FieldSealEvent } from './events.js';
import {
  callback,
  contextName,
  group,
  objectWith,
  optional,
  parseOptions,
  wholeNumber,
  withDefault,
} from './options.js';
import { parsePolicies } from './policy.js';
import type { Policy, PurposeOptions } from './policy.js';
import type { Clock, KeySource, RandomBelow } from './ports.js';
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
  /** Told of refreshes, failures, revocations and alarms. A throw in it is swallowed and counted in `stats()`. */
  readonly onEvent?: (event: FieldSealEvent) => void;
  readonly keyring?: {
    /** Keys kept for opening, all purposes together, beyond those of the pools. Default 1,000, 1 to 1,000,000. */
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
  readonly onEvent: ((event: FieldSealEvent) => unknown) | undefined;
  readonly keyringMax: number;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
}

const MAX_KEYRING = 1_000_000;

const table = {
  application: contextName(),
  environment: contextName(),
  purposes: parsePolicies,
  keys: objectWith<KeySource>('a key source, such as keyStoreSource(…)', [
    'start',
    'handOut',
    'load',
    'indexKeys',
    'kmsCalls',
    'close',
  ]),
  onEvent: optional(callback<(event: FieldSealEvent) => unknown>()),
  keyring: group({ max: withDefault(wholeNumber(1, MAX_KEYRING), 1_000) }),
  clock: withDefault(objectWith<Clock>('a clock', ['wall', 'monotonic', 'after']), systemClock),
  randomBelow: optional(callback<RandomBelow>()),
};

/** @throws ConfigError `ERR_CONFIG_OPTION`. */
export function parseFieldSealOptions(options: unknown): ParsedFieldSealOptions {
  const { application, environment, purposes, keys, onEvent, keyring, clock, randomBelow } = parseOptions(
    table,
    options,
    '',
  );
  return {
    application,
    environment,
    policies: purposes,
    source: keys,
    onEvent,
    keyringMax: keyring.max,
    clock,
    randomBelow: randomBelow ?? bufferedRandomBelow(),
  };
}
