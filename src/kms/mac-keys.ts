/**
 * Which key of the KMS makes the blind indexes of a purpose: an ARN for each version of the index. One ARN alone is that of
 * version 1 and no other, since under another key old rows would not be found, nor be unique with new ones.
 */
import { describeValue, mapOf, optionError, text, type OptionRule } from '../keys/options.js';
import { isKeyArn } from './arn.js';

/** An ARN, of version 1; or ARNs by index version. */
export type MacKeys = string | ReadonlyMap<string, string>;

const keyArn = text('the ARN of a key: arn:aws:kms:…:key/…, no alias', isKeyArn);

export const macKeyRule: OptionRule<MacKeys> = (value, path) => {
  if (typeof value !== 'object' || value === null) return keyArn(value, path);
  if (!Array.isArray(value)) return mapOf(keyArn)(value, path);
  throw optionError(
    path,
    "the ARN of a key, or an object with one for each version: { 1: 'arn:…' }",
    describeValue(value),
  );
};

export function arnsOf(keys: MacKeys): readonly string[] {
  return typeof keys === 'string' ? [keys] : [...new Set(keys.values())];
}

export function arnOf(keys: MacKeys | undefined, version: number): string | undefined {
  if (typeof keys === 'object') return keys.get(String(version));
  return version === 1 ? keys : undefined;
}
