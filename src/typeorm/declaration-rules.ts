/** Rules for the options of `@Encrypted` that have a shape of their own. */
import type { CodecName } from '../cell/codecs.js';
import {
  callback,
  flag,
  group,
  listOf,
  oneOf,
  optional,
  optionError,
  parseOptions,
  text,
  withDefault,
  type OptionRule,
} from '../keys/options.js';

export const CODECS = ['string', 'number', 'bigint', 'boolean', 'date', 'json', 'bytes'] as const;

export function blindIndex(): OptionRule<{
  readonly unique: boolean;
  readonly later: boolean;
  readonly normalize: ((value: never) => unknown) | undefined;
}> {
  const table = {
    unique: withDefault(flag(), false),
    later: withDefault(flag(), false),
    normalize: optional(callback<(value: never) => unknown>()),
  };
  return (value, path) => group(table)(value === true ? {} : value, path);
}

export function binding(): OptionRule<readonly string[] | false> {
  const properties = listOf(text('the name of a property'), 1);
  return (value, path) => {
    if (value === false) return false;
    const names = properties(value, path);
    if (new Set(names).size < names.length)
      throw optionError(path, 'each property once', 'one of them twice');
    return names;
  };
}

export function context(): OptionRule<string> {
  return text("'entity.field'", (value) => /^[^.]+\..+$/u.test(value));
}

export function previously() {
  const table = {
    type: optional<CodecName>(oneOf(CODECS)),
    bind: optional(binding()),
    context: optional(context()),
    convert: optional(callback<(value: never) => unknown>()),
    revert: optional(callback<(value: never) => unknown>()),
    application: otherKeys,
    environment: otherContext,
  };
  return (value: unknown, path: string) => {
    const { type, bind, context, convert, revert } = parseOptions(table, value, path);
    if (type !== undefined || bind !== undefined || context !== undefined)
      return { type, bind, context, convert, revert };
    throw optionError(path, 'what was declared otherwise, one of type, bind and context', 'none of them');
  };
}

const RECRYPT = 'and recrypt the cells with a field seal that was made with the old one';

/** Keys belong to one application: cells of another one cannot be opened here under any declaration. */
const otherKeys: OptionRule<undefined> = (value, path) => {
  if (value === undefined) return;
  throw optionError(
    path,
    `no application (cells of another one lie under its keys); leave it out ${RECRYPT}`,
    'one',
  );
};

const otherContext: OptionRule<undefined> = (value, path) => {
  if (value === undefined) return;
  throw optionError(
    path,
    `no environment (a field seal opens cells of its own only); leave it out ${RECRYPT}`,
    'one',
  );
};
