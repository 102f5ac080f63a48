/**
 * Checks options against a table of rules. Unknown names are refused with the nearest known one, every error is a
 * ConfigError `ERR_CONFIG_OPTION` that names the path of the option, what was expected and what was got.
 */
import { ConfigError } from '../errors.js';

/**
 * Turns the given value of one option into the one that is used, or throws. `undefined` means not given.
 * `showsWords` is false where a secret stands among the options, and may have got into another one of them.
 */
export type OptionRule<T> = (value: unknown, path: string, showsWords?: boolean) => T;

/** One rule per option name. */
export type OptionTable = Readonly<Record<string, OptionRule<unknown>>>;

/** What a table yields: every option present, frozen. */
export type ParsedOptions<Table extends OptionTable> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]>;
};

/** Longest option name or word that a message repeats, in characters. */
const MAX_WORD = 40;

/** What `secret` made. */
const secrets = new WeakSet<OptionRule<unknown>>();

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Longest duration taken, in ms: ten years, far from where additions of times lose precision. */
const MAX_DURATION_MS = 3_650 * 86_400_000;

/**
 * Every option of `table`, checked and frozen. Only own properties are read; `undefined` counts as not given.
 * @param path Where the options stand, for messages: `'awsKms'`; `''` for the top.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parseOptions<Table extends OptionTable>(
  table: Table,
  value: unknown,
  path: string,
  showsWords = true,
): ParsedOptions<Table> {
  const shows = showsWords && !Object.values(table).some((rule) => secrets.has(rule));
  const given = value === undefined ? {} : ownProperties(value, path);
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) refuseUnknown(name, Object.keys(table), path);
  }
  const parsed = Object.entries(table).map(([name, rule]) => {
    const option = Object.hasOwn(given, name) ? given[name] : undefined;
    return [name, rule(option, join(path, name), shows)] as const;
  });
  return Object.freeze(Object.fromEntries(parsed)) as ParsedOptions<Table>;
}

/** The error for an option that a rule, or a rule between options, refuses. `got` never repeats a value of unknown origin. */
export function optionError(path: string, expected: string, got: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `${path === '' ? 'options' : path}: expected ${expected}, got ${got}.`,
  );
}

/** A value by its kind and size; numbers and booleans as they are. Safe for messages. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** An option that may be left out. */
export function optional<T>(rule: OptionRule<T>): OptionRule<T | undefined> {
  return (value, path, shows) => (value === undefined ? undefined : rule(value, path, shows));
}

/** An option with a default. */
export function withDefault<T>(rule: OptionRule<T>, byDefault: T): OptionRule<T> {
  return (value, path, shows) => (value === undefined ? byDefault : rule(value, path, shows));
}

/**
 * An option that is a secret or holds one, such as a connection string: no message repeats a word of the options beside
 * it, since values are mixed up.
 */
export function secret<T>(rule: OptionRule<T>): OptionRule<T> {
  const made: OptionRule<T> = (value, path) => rule(value, path, false);
  secrets.add(made);
  return made;
}

/** Options within options; left out, each of them gets its own default. */
export function group<Table extends OptionTable>(table: Table): OptionRule<ParsedOptions<Table>> {
  return (value, path, shows) => parseOptions(table, value, path, shows);
}

export function wholeNumber(min: number, max: number): OptionRule<number> {
  return (value, path) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    throw optionError(path, `a whole number from ${amount(min)} to ${amount(max)}`, describeValue(value));
  };
}

/** A duration in ms, written as a number of ms or as `'90s'`, `'15m'`, `'2h'`, `'30d'`. */
export function duration(minMs = 0, maxMs = MAX_DURATION_MS): OptionRule<number> {
  return (value, path, shows = true) => {
    const ms = typeof value === 'string' ? parseDuration(value) : value;
    if (typeof ms === 'number' && Number.isFinite(ms) && ms >= minMs && ms <= maxMs) return Math.round(ms);
    const expected = `a duration such as '90s', '15m', '2h', '30d' or a number of milliseconds, at least ${amount(minMs)} ms and at most ${maxMs === MAX_DURATION_MS ? '3,650 d' : `${amount(maxMs)} ms`}`;
    throw optionError(path, expected, describeWord(value, shows));
  };
}

export function oneOf<const Words extends readonly (string | number)[]>(
  words: Words,
): OptionRule<Words[number]> {
  return (value, path, shows = true) => {
    const word = words.find((known) => known === value);
    if (word !== undefined) return word;
    throw optionError(
      path,
      `one of ${words.map((known) => quote(String(known))).join(', ')}`,
      describeWord(value, shows),
    );
  };
}

export function flag(): OptionRule<boolean> {
  return (value, path) => {
    if (typeof value === 'boolean') return value;
    throw optionError(path, 'true or false', describeValue(value));
  };
}

/** A string of at least one character. */
export function text(
  what = 'a string that is not empty',
  passes: (value: string) => boolean = () => true,
): OptionRule<string> {
  return (value, path) => {
    if (typeof value === 'string' && value !== '' && passes(value)) return value;
    throw optionError(path, what, describeValue(value));
  };
}

/** A name that goes into authenticated contexts: NFC, well formed, 1 to 128 characters, none of them a control character. */
export function contextName(): OptionRule<string> {
  return text(
    'a name of 1 to 128 characters in Unicode NFC, without control characters',
    // Cs: lone surrogates; Cc: control characters.
    (value) => value.length <= 128 && value.normalize('NFC') === value && !/[\p{Cs}\p{Cc}]/u.test(value),
  );
}

/** A frozen list whose members pass `rule`. */
export function listOf<T>(rule: OptionRule<T>, min = 0): OptionRule<readonly T[]> {
  return (value, path, shows) => {
    if (!Array.isArray(value) || value.length < min) {
      throw optionError(path, `a list of at least ${amount(min)}`, describeValue(value));
    }
    return Object.freeze(Array.from(value, (member: unknown, i) => rule(member, `${path}[${i}]`, shows)));
  };
}

/** An object whose names are the caller's own (purposes, for instance); a Map, since such names come from outside. */
export function mapOf<T>(rule: OptionRule<T>): OptionRule<ReadonlyMap<string, T>> {
  return (value, path, shows) => {
    const given = ownProperties(value, path);
    return new Map(Object.keys(given).map((key) => [key, rule(given[key], join(path, key), shows)]));
  };
}

/** An object passed in, known by the methods that are called on it. */
export function objectWith<T extends object>(
  what: string,
  methods: readonly (keyof T & string)[],
): OptionRule<T> {
  return (value, path) => {
    if (typeof value === 'object' && value !== null) {
      const candidate = value as Record<string, unknown>;
      if (methods.every((method) => typeof candidate[method] === 'function')) return value as T;
    }
    throw optionError(path, `${what} (an object with ${methods.join(', ')})`, describeValue(value));
  };
}

/** A function passed in. */
export function callback<T extends (...args: never[]) => unknown>(): OptionRule<T> {
  return (value, path) => {
    if (typeof value === 'function') return value as T;
    throw optionError(path, 'a function', describeValue(value));
  };
}

function ownProperties(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw optionError(path, 'an object', describeValue(value));
}

function refuseUnknown(name: string, known: readonly string[], path: string): never {
  const nearest = nearestName(name, known);
  const hint =
    nearest === undefined ? `known options are ${known.join(', ')}` : `did you mean ${quote(nearest)}?`;
  throw new ConfigError(
    'ERR_CONFIG_OPTION',
    `${join(path, shorten(name))}: there is no such option; ${hint}`,
  );
}

/** The known name that takes the fewest edits; undefined when more than half of it would have to change. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let fewest = Infinity;
  for (const candidate of known) {
    const edits = editDistance(name.slice(0, MAX_WORD).toLowerCase(), candidate.toLowerCase());
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest !== undefined && fewest * 2 <= nearest.length ? nearest : undefined;
}

function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, above[column]! + 1, current[column - 1]! + 1));
    }
    above = current;
  }
  return above[b.length]!;
}

function parseDuration(value: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(value);
  const unitMs = UNIT_MS.get(match?.[2] ?? '');
  return unitMs === undefined ? undefined : Number(match?.[1]) * unitMs;
}

/** Letters, digits and dashes are what words and durations are made of; a string with anything else may be a secret. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9 .-]{0,23}$/;

/** A word of configuration helps to find the mistake; anything else, such as a connection string, is told by its length. */
function describeWord(value: unknown, shows: boolean): string {
  return shows && typeof value === 'string' && WORD.test(value) ? quote(value) : describeValue(value);
}

function quote(word: string): string {
  return `'${word}'`;
}

function shorten(word: string): string {
  return word.length <= MAX_WORD ? word : `${word.slice(0, MAX_WORD)}…`;
}

/** The path of an option among those at `path`. */
export function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function amount(value: number): string {
  return value.toLocaleString('en-US');
}
