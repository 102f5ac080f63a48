/** The configured key files of a purpose, read. */
import { isFieldSealError } from '../../errors.js';
import type { FieldSealEvent } from '../../keys/events.js';
import { optionError } from '../../keys/options.js';
import { readKeyFile } from './key-file-access.js';
import type { LocalKek } from './local-kek.js';
import type { LocalKeksSettings } from './local-options.js';

/** KEKs of one purpose, by name. */
export interface PurposeKeks {
  /** Those that may wrap new keys. */
  readonly wrapping: ReadonlyMap<string, LocalKek>;
  /** Those that may unwrap: the wrapping ones and the retired ones. */
  readonly unwrapping: ReadonlyMap<string, LocalKek>;
  /** Key files of retired KEKs that are not there. */
  readonly missing: readonly string[];
}

/**
 * Reads all key files of a purpose. A retired one that is missing gives a warning: the other KEKs still open.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK, `ERR_CONFIG_KEK_FILE`; KmsError
 *   `ERR_KMS_KEK_UNUSABLE`.
 */
export async function readPurposeKeks(
  settings: LocalKeksSettings,
  purpose: string,
  emit: (event: FieldSealEvent) => void,
): Promise<PurposeKeks> {
  const wrapping = await readWrapping(settings, purpose);
  const retired: LocalKek[] = [];
  const missing: string[] = [];
  for (const path of settings.openKeks.get(purpose) ?? []) {
    const kek = await readRetired(path, emit);
    if (kek === undefined) missing.push(path);
    else retired.push(kek);
  }
  return {
    wrapping: byName(wrapping),
    unwrapping: byName([...wrapping, ...retired]),
    missing,
  };
}

/** Reads the key files of a purpose that wrap, for a process that opens nothing. @throws as {@link readPurposeKeks}. */
export async function readWriteOnlyKeks(settings: LocalKeksSettings, purpose: string): Promise<PurposeKeks> {
  return {
    wrapping: byName(await readWrapping(settings, purpose)),
    unwrapping: new Map<string, LocalKek>(),
    missing: [],
  };
}

/** Reads all key files of a purpose, for a process that makes no key. @throws as {@link readPurposeKeks}. */
export async function readReadOnlyKeks(
  settings: LocalKeksSettings,
  purpose: string,
  emit: (event: FieldSealEvent) => void,
): Promise<PurposeKeks> {
  return { ...(await readPurposeKeks(settings, purpose, emit)), wrapping: new Map<string, LocalKek>() };
}

async function readWrapping(settings: LocalKeksSettings, purpose: string): Promise<LocalKek[]> {
  const paths = settings.keks.get(purpose);
  if (paths === undefined) throw optionError(`localKeks.keks.${purpose}`, 'a list of at least 1', 'nothing');
  return Promise.all(paths.map(readKeyFile));
}

function byName(keks: readonly LocalKek[]): ReadonlyMap<string, LocalKek> {
  return new Map(keks.map((kek) => [kek.name, kek]));
}

async function readRetired(
  path: string,
  emit: (event: FieldSealEvent) => void,
): Promise<LocalKek | undefined> {
  try {
    return await readKeyFile(path);
  } catch (error) {
    if (!isFieldSealError(error) || error.code !== 'ERR_KMS_KEK_UNUSABLE') throw error;
    emit({ type: 'warning', code: error.code, message: error.message });
    return undefined;
  }
}
