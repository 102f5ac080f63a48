/** Text that has exactly one UTF-8 encoding. */
import { ConfigError } from '../errors.js';

/** False for strings with a lone surrogate: their UTF-8 would be that of another string. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/**
 * Checks a configured name that becomes part of a context or of a key.
 * @param where what the name names, for the message
 * @throws ConfigError `ERR_CONFIG_FIELD` when it is empty, has a lone surrogate, or is not in normal form C
 */
export function checkName(name: unknown, where: string): asserts name is string {
  if (typeof name !== 'string' || name === '') {
    const got = name === '' ? 'an empty string' : typeof name;
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: expected a name of at least one character, got ${got}.`,
    );
  }
  if (!isWellFormed(name)) {
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: the name has a lone surrogate; write it as valid Unicode.`,
    );
  }
  if (name !== name.normalize('NFC')) {
    // Two spellings that look the same would be two contexts, and cells of one would not open under the other.
    throw new ConfigError(
      'ERR_CONFIG_FIELD',
      `${where}: the name is not in Unicode normal form C; write name.normalize('NFC').`,
    );
  }
}
