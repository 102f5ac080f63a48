/** The KEKs of a process that may make envelope keys and nothing else: it may not even describe a KEK. */
import type { KeyScope } from '../keys/ports.js';
import { answerOf } from './aws-calls.js';
import type { AwsCalls } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { namesOf } from './aws-keks.js';
import type { PurposeKeks } from './aws-keks.js';
import type { AwsKmsSettings } from './aws-options.js';
import { envelopeContext } from './wrap-context.js';

/**
 * One GenerateDataKey per KEK of `keks`, as the process will make them later: it proves the right, and its answer names
 * the key that an alias stands for. Retired KEKs are left alone.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError.
 */
export async function resolveWriteOnly(
  calls: AwsCalls,
  settings: AwsKmsSettings,
  scope: KeyScope,
): Promise<PurposeKeks> {
  const arns = await Promise.all(namesOf(settings, scope.purpose).map((name) => arnOf(calls, name, scope)));
  return { wrapping: [...new Set(arns)], unwrapping: new Set() };
}

async function arnOf(calls: AwsCalls, name: string, scope: KeyScope): Promise<string> {
  const { root, kek } = answerOf(await generateDataKey(calls, name, envelopeContext(scope)));
  root.fill(0);
  return kek;
}
