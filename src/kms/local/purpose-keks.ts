/** The configured key files of a purpose, read. */
import { isFieldSealError } from '../../errors.js';
import type { FieldSealEvent } from '../../keys/events.js';
import { optionError } from '../../keys/options.js';
import { readKeyFile } from './key-file-access.js';
import type { LocalKek } from './local-kek.js';
import type { LocalKeksSettings } from './local-options.js';

/** KEKs of one purpose. */
export interface PurposeKeks {
  /** Names of those that may wrap new keys. */
  readonly wrapping: readonly string[];
  /** Those that may unwrap, by name: the wrapping ones and the retired ones. */
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
  const paths = settings.keks.get(purpose);
  if (paths === undefined) throw optionError(`localKeks.keks.${purpose}`, 'a list of at least 1', 'nothing');
  const wrapping = await Promise.all(paths.map(readKeyFile));
  const retired: LocalKek[] = [];
  const missing: string[] = [];
  for (const path of settings.openKeks.get(purpose) ?? []) {
    const kek = await readRetired(path, emit);
    if (kek === undefined) missing.push(path);
    else retired.push(kek);
  }
  return {
    wrapping: [...new Set(wrapping.map(({ name }) => name))],
    unwrapping: new Map([...wrapping, ...retired].map((kek) => [kek.name, kek])),
    missing,
  };
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
