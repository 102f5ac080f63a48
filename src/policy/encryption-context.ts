/** Conditions on the encryption context of a call: what the key is for, and that nothing else is said. */
import type { Delivery, KeyKind } from '../keys/ports.js';
import type { PolicySettings, Purpose } from './settings.js';

export type Condition = Readonly<Record<string, Readonly<Record<string, OneOrMany>>>>;
export type OneOrMany = string | readonly string[];

/** In every encryption context. Keys of the key store have a wrapId too; a cell has none. */
const NAMES = ['application', 'environment', 'purpose', 'kind', 'delivery'] as const;

/** For data keys that travel in the cell. */
export function inCell(settings: PolicySettings, purpose: Purpose): Condition {
  return contextCondition(settings, purpose, ['data'], ['envelope'], NAMES);
}

/** For keys of the key store. */
export function inStore(settings: PolicySettings, purpose: Purpose, kinds: readonly KeyKind[]): Condition {
  return contextCondition(settings, purpose, kinds, purpose.storedAs, [...NAMES, 'wrapId']);
}

/**
 * Names of pairs are compared without regard to case in `kms:EncryptionContext:…`, and exactly in
 * `kms:EncryptionContextKeys`. ForAllValues alone would pass an empty context; the pairs above it are required.
 * https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
 */
function contextCondition(
  { application, environment }: PolicySettings,
  { name }: Purpose,
  kinds: readonly KeyKind[],
  deliveries: readonly Delivery[],
  names: readonly string[],
): Condition {
  return {
    StringEquals: {
      'kms:EncryptionContext:application': application,
      'kms:EncryptionContext:environment': environment,
      'kms:EncryptionContext:purpose': name,
      'kms:EncryptionContext:kind': oneOrMany(kinds),
      'kms:EncryptionContext:delivery': oneOrMany(deliveries),
    },
    'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': names },
  };
}

/** IAM takes a list of one too; one value is easier to read. */
export function oneOrMany(values: readonly string[]): OneOrMany {
  return values.length === 1 ? values[0]! : values;
}
