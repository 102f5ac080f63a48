/** What the policy documents need to know of a purpose: how its keys are delivered, and where its index keys are. */
import { DELIVERIES, indexRule, type IndexPolicy } from '../keys/delivery-options.js';
import { listOf, mapOf, oneOf, optional, withDefault, type OptionRule } from '../keys/options.js';
import { parsePolicy } from '../keys/policy.js';
import type { Delivery, KeyKind } from '../keys/ports.js';

/** `'none'`: an envelope purpose that names no index needs no key store, and so no index key. */
export type IndexSource = IndexPolicy['source'] | 'none';

export interface PurposeTraits {
  readonly name: string;
  /** How its new cells carry their keys. */
  readonly delivery: Delivery;
  /** Whether its fields open cells of envelope delivery. */
  readonly opensEnvelopes: boolean;
  readonly index: IndexSource;
  /** Versions of the index that are written or searched. */
  readonly indexVersions: readonly number[];
  /** Kinds of keys that the key store holds for the purpose; none where every key travels in its cell. */
  readonly stored: readonly KeyKind[];
  /** `delivery` in the encryption contexts of those keys; never `envelope`. */
  readonly storedAs: readonly Delivery[];
}

/** Kinds that the key store always holds. The store key authenticates the rows of all others. */
const STORED: Readonly<Record<Delivery, readonly KeyKind[]>> = {
  pool: ['data', 'store'],
  envelope: [],
  sealed: ['pair', 'store'],
};

const STORED_AS: Readonly<Record<Delivery, readonly Delivery[]>> = {
  pool: ['pool'],
  envelope: ['pool'],
  sealed: ['pool', 'sealed'],
};

/** One purpose of `options.purposes`; every other setting in it is left to createFieldSeal. @throws ConfigError. */
export function purposeTraits(name: string, settings: unknown, path: string): PurposeTraits {
  parsePolicy(name, {}, path);
  const { delivery, accepted, index } = settingsOf(settings, `${path}.${name}`);
  const source = index?.source ?? (delivery === 'envelope' ? 'none' : 'local');
  return {
    name,
    delivery,
    opensEnvelopes: accepted.includes('envelope'),
    index: source,
    indexVersions: index?.versions ?? [],
    stored: storedKinds(accepted, source),
    storedAs: [...new Set(accepted.flatMap((one) => STORED_AS[one]))].sort(),
  };
}

/** Whoever writes the index later makes it with an index key of the key store too. */
function storedKinds(accepted: readonly Delivery[], index: IndexSource): readonly KeyKind[] {
  const kinds = new Set(accepted.flatMap((delivery) => STORED[delivery]));
  if (index === 'local' || index === 'later') kinds.add('index').add('store');
  return [...kinds].sort();
}

function settingsOf(settings: unknown, path: string) {
  const given = mapOf((value) => value)(settings ?? {}, path);
  const index = given.get('index');
  const delivery = deliveryRule(given.get('delivery'), `${path}.delivery`);
  return {
    delivery,
    accepted: [...new Set([delivery, ...(acceptRule(given.get('accept'), `${path}.accept`) ?? [])])],
    index: index === undefined ? undefined : indexRule(index, `${path}.index`),
  };
}

const deliveryWord = withDefault(oneOf(DELIVERIES), 'pool');

/** `'envelope'`, or `{ envelope: { reuse: … } }`. */
const deliveryRule: OptionRule<Delivery> = (value, path) => {
  const names = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  return deliveryWord(names.length === 1 ? names[0] : value, path);
};

/** `{ deliveries: ['envelope', 'pool'] }`, with what createFieldSeal reads besides. */
const acceptRule: OptionRule<readonly Delivery[] | undefined> = (value, path) =>
  optional(listOf(oneOf(DELIVERIES), 1))(
    mapOf((one) => one)(value ?? {}, path).get('deliveries'),
    `${path}.deliveries`,
  );
