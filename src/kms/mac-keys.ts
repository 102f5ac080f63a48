/** Which key of the KMS makes the blind indexes of a purpose: one for all versions of the index, or one for each. */
import { mapOf, text, type OptionRule } from '../keys/options.js';
import { isKeyArn } from './arn.js';

/** An ARN, or ARNs by index version. */
export type MacKeys = string | ReadonlyMap<string, string>;

const keyArn = text('the ARN of a key: arn:aws:kms:…:key/…, no alias', isKeyArn);

export const macKeyRule: OptionRule<MacKeys> = (value, path) =>
  typeof value === 'object' && value !== null ? mapOf(keyArn)(value, path) : keyArn(value, path);

export function arnsOf(keys: MacKeys): readonly string[] {
  return typeof keys === 'string' ? [keys] : [...new Set(keys.values())];
}

export function arnOf(keys: MacKeys | undefined, version: number): string | undefined {
  return typeof keys === 'object' ? keys.get(String(version)) : keys;
}
