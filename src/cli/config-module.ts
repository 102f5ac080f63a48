/** The configuration module that commands read: `--config`, by default `./fieldseal.config.mjs`. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError, isFieldSealError } from '../errors.js';

export const DEFAULT_CONFIG = './fieldseal.config.mjs';

/** The named exports of a configuration module. */
export type ConfigModule = Readonly<Record<string, unknown>>;

/**
 * Runs the module, which may hold secrets: no message repeats anything of it.
 * @throws ConfigError `ERR_CONFIG_OPTION` when there is no file or it fails; a FieldSealError that the module throws.
 */
export async function loadConfigModule(path: string): Promise<ConfigModule> {
  const file = resolve(path);
  if (!existsSync(file)) throw configError(`--config: expected a module, there is no file ${file}.`);
  try {
    return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as ConfigModule;
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    throw configError(
      `--config: ${file} failed while it was loaded (${nameOf(error)}); run it with node to see why.`,
    );
  }
}

/** Such as `ERR_MODULE_NOT_FOUND` or `SyntaxError`; anything longer may be a message. */
function nameOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  return [code, name].find(isShortName) ?? 'unknown error';
}

function isShortName(word: unknown): word is string {
  return typeof word === 'string' && /^[A-Za-z_]{1,40}$/.test(word);
}

function configError(message: string): ConfigError {
  return new ConfigError('ERR_CONFIG_OPTION', message);
}
