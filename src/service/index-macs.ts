/** Blind indexes at the KMS. */
import { ConfigError } from '../errors.js';
import type { KekProvider } from '../keys/ports.js';

export const hasIndexMac = (kms: KekProvider | undefined, purpose: string, version: number): boolean =>
  kms?.mac !== undefined && kms.hasMacKey?.(purpose, version) !== false;

/** @throws KmsError; ConfigError `ERR_CONFIG_OPTION` for a provider that has no MAC keys. */
export function indexMac(
  kms: KekProvider | undefined,
  purpose: string,
  version: number,
  message: Uint8Array,
): Promise<Buffer> {
  if (kms?.mac !== undefined) return kms.mac(purpose, version, message);
  const error = new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${purpose}.index: expected a key source whose KMS has MAC keys for 'kms', such as ` +
      "kmsSource({ kms: awsKms({ macKeys }) }), got one without; give it one, or use 'local' or 'later'.",
  );
  return Promise.reject(error);
}
