/** Blind indexes that nothing in this process can make: known before the first value, which would be refused. */
import { ConfigError } from '../errors.js';
import type { FieldDeclaration } from './field-seal.js';
import type { IndexKeys } from './index-keys.js';
import type { Policy } from './policy.js';
import type { KeySource } from './ports.js';

export interface IndexMaking {
  readonly indexKeys: Pick<IndexKeys, 'has'> | undefined;
  readonly source: Pick<KeySource, 'hasMacKey'>;
}

/** @throws ConfigError `ERR_CONFIG_FIELD` for a field whose every value would be refused when it is written. */
export function refuseUnmadeIndex(
  { entity, field, blindIndex }: FieldDeclaration,
  policy: Policy,
  making: IndexMaking,
): void {
  const problem = blindIndex && problemOf(policy, making);
  if (problem) throw new ConfigError('ERR_CONFIG_FIELD', `${entity}.${field}: ${problem}`);
}

function problemOf({ purpose, index }: Policy, { indexKeys, source }: IndexMaking): string | undefined {
  if (index.source !== 'kms') {
    if (index.versions.length === 0 || indexKeys?.has(purpose)) return undefined;
    return (
      'expected index keys for its blind index, got a key source without a key store, which has none; use keyStoreSource(…), ' +
      `purposes.${purpose}.index 'kms' with macKeys of awsKms, or leave blindIndex out.`
    );
  }
  const missing = index.versions.find((version) => source.hasMacKey?.(purpose, version) === false);
  if (missing === undefined) return undefined;
  return (
    `expected a KMS with a MAC key for version ${missing} of its blind index, got none; set macKeys.${purpose} of awsKms, ` +
    `purposes.${purpose}.index to 'local' or 'later' (with a key store), or leave blindIndex out.`
  );
}
