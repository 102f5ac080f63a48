/** The KEKs of a process that may make envelope keys and nothing else: it may not even describe a KEK. */
import { KmsError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type { KeyScope } from '../keys/ports.js';
import type { AwsCalls } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { namesOf, silentKek } from './aws-keks.js';
import type { PurposeKeks } from './aws-keks.js';
import type { AwsKmsSettings } from './aws-options.js';
import { envelopeContext } from './wrap-context.js';

/**
 * One GenerateDataKey per KEK of `keks`, as the process will make them later: it proves the right, and its answer names
 * the key that an alias stands for. A KEK that does not answer is left out with an alarm, while another one does. Retired
 * KEKs are left alone.
 * @throws ConfigError `ERR_CONFIG_OPTION` when the purpose has no KEK; KmsError.
 */
export async function resolveWriteOnly(
  calls: AwsCalls,
  settings: AwsKmsSettings,
  scope: KeyScope,
  emit: (event: FieldSealEvent) => void,
): Promise<PurposeKeks> {
  const names = namesOf(settings, scope.purpose);
  const looked = await Promise.all(names.map((name) => arnOf(calls, name, scope)));
  const failed = names.flatMap((name, i) => {
    const error = looked[i];
    return error instanceof KmsError ? [{ name, error }] : [];
  });
  const wrapping = looked.filter((arn) => typeof arn === 'string');
  const refusal = failed.find(({ error }) => !error.retryable || wrapping.length === 0);
  if (refusal !== undefined) throw refusal.error;
  for (const { name, error } of failed) emit(silentKek(name, error));
  return { wrapping: [...new Set(wrapping)], unwrapping: new Set(), missing: failed.map(({ name }) => name) };
}

async function arnOf(calls: AwsCalls, name: string, scope: KeyScope): Promise<string | KmsError> {
  const outcome = await generateDataKey(calls, name, envelopeContext(scope));
  if ('error' in outcome) return outcome.error;
  outcome.answer.root.fill(0);
  return outcome.answer.kek;
}
