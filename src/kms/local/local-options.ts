/** Options of `localKeks`: types, defaults, validation. */
import { isAbsolute } from 'node:path';
import { listOf, mapOf, parseOptions, text, withDefault } from '../../keys/options.js';

/** Options of {@link localKeks}. */
export interface LocalKeksOptions {
  /** Key files of the KEKs that wrap new keys, and unwrap, per purpose: absolute paths. */
  readonly keks: Readonly<Record<string, readonly string[]>>;
  /** Key files of retired KEKs, per purpose: they only unwrap. A missing one gives a warning. Default: none. */
  readonly openKeks?: Readonly<Record<string, readonly string[]>>;
}

/** Options of `localKeks` after validation. */
export type LocalKeksSettings = ReturnType<typeof parseLocalKeksOptions>;

const OPTIONS = {
  keks: mapOf(listOf(keyFilePath(), 1)),
  openKeks: withDefault(mapOf(listOf(keyFilePath())), new Map<string, readonly string[]>()),
};

/**
 * Checks the options of `localKeks`.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function parseLocalKeksOptions(options: LocalKeksOptions) {
  return parseOptions(OPTIONS, options, 'localKeks');
}

/** Absolute: which key a process takes must not depend on the folder it is started in. */
function keyFilePath() {
  return text('the absolute path of a key file', (value) => isAbsolute(value) && !value.includes('\0'));
}
