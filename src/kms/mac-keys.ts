/**
 * Which key of the KMS makes the blind indexes of a purpose: an ARN for each version of the index. One ARN alone is that of
 * version 1 and no other, since under another key old rows would not be found, nor be unique with new ones.
 */
import { describeValue, mapOf, optionError, text, type OptionRule } from '../keys/options.js';
import { isKeyArn } from './arn.js';

/** An ARN, of version 1; or ARNs by index version. */
export type MacKeys = string | ReadonlyMap<string, string>;

/** 1 to 255, as a whole number is written. */
const VERSION = /^(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])$/;
const keyArn = text('the ARN of a key: arn:aws:kms:…:key/…, no alias', isKeyArn);

export const macKeyRule: OptionRule<MacKeys> = (value, path) => {
  if (typeof value !== 'object' || value === null) return keyArn(value, path);
  if (!Array.isArray(value)) {
    const keys = mapOf(keyArn)(value, path);
    const wrong = [...keys.keys()].find((version) => !VERSION.test(version));
    if (wrong === undefined) return keys;
    throw optionError(
      `${path}.${wrong.slice(0, 64)}`,
      'a version of the index, from 1 to 255, as name',
      'another one',
    );
  }
  throw optionError(
    path,
    "the ARN of a key, or an object with one for each version: { 1: 'arn:…' }",
    describeValue(value),
  );
};

export function arnsOf(keys: MacKeys): readonly string[] {
  return typeof keys === 'string' ? [keys] : [...new Set(keys.values())];
}

/**
 * An index says nothing of its purpose: under one key two purposes would have the same index for equal columns, and who may
 * ask for those of one could ask for those of the other.
 */
export function refuseSharedMacKeys(macKeys: ReadonlyMap<string, MacKeys>, path: string): void {
  const owners = new Map<string, string>();
  for (const [purpose, keys] of macKeys) {
    for (const arn of arnsOf(keys)) {
      const owner = owners.get(arn);
      if (owner !== undefined)
        throw optionError(`${path}.${purpose}`, 'a key of its own', `that of the purpose ${owner}`);
      owners.set(arn, purpose);
    }
  }
}

export function arnOf(keys: MacKeys | undefined, version: number): string | undefined {
  if (typeof keys === 'object') return keys.get(String(version));
  return version === 1 ? keys : undefined;
}
