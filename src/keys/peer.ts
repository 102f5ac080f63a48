/** Optional peers: packages that are loaded when an option needs them, and only then. */
import { ConfigError } from '../errors.js';

/**
 * What `load` imports; of a CommonJS package everything it exports, which Node cannot always tell by name.
 * @param name The package, as `load` imports it.
 * @param neededBy What needs it, for messages: `awsKms`.
 * @throws ConfigError `ERR_CONFIG_PEER_MISSING` where the package itself is not found; `ERR_CONFIG_PEER_FAILED`, with its
 * cause, where it is there and does not load.
 */
export async function loadPeer<T extends object>(
  name: string,
  load: () => Promise<T>,
  neededBy: string,
): Promise<T> {
  try {
    const loaded = await load();
    return 'default' in loaded ? (loaded.default as T) : loaded;
  } catch (cause) {
    throw isMissing(cause, name) ? missing(name, neededBy, cause) : failed(name, neededBy, cause);
  }
}

/** Node says ERR_MODULE_NOT_FOUND to `import`, MODULE_NOT_FOUND to `require`, and so do Jest, Bun and bundlers. */
const NOT_FOUND: ReadonlySet<unknown> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** A package that is there and lacks one of its own has the same code, and names the other one. */
function isMissing(error: unknown, name: string): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return NOT_FOUND.has(code) && /'([^']*)'/.exec(String(message))?.[1] === name;
}

function missing(name: string, neededBy: string, cause: unknown): ConfigError {
  const message = `${neededBy} needs the package ${name}: run npm install ${name}.`;
  return new ConfigError('ERR_CONFIG_PEER_MISSING', message, { cause });
}

function failed(name: string, neededBy: string, cause: unknown): ConfigError {
  const message =
    `${neededBy} needs the package ${name}, which was found but did not load; the cause says why. ` +
    `Installing it again may help where one of its own packages is missing.`;
  return new ConfigError('ERR_CONFIG_PEER_FAILED', message, { cause });
}
