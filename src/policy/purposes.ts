/** What the policy documents need to know of a purpose: how its keys are delivered, and where its index keys are. */
import type { IndexPolicy } from '../keys/delivery-options.js';
import type { Policy } from '../keys/policy.js';
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

export function purposeTraits({ purpose, delivery, accept, index }: Policy): PurposeTraits {
  const source = index.versions.length === 0 ? 'none' : index.source;
  return {
    name: purpose,
    delivery,
    opensEnvelopes: accept.deliveries.includes('envelope'),
    index: source,
    indexVersions: index.versions,
    stored: storedKinds(accept.deliveries, source),
    storedAs: [...new Set(accept.deliveries.flatMap((one) => STORED_AS[one]))].sort(),
  };
}

/** Whoever writes the index later makes it with an index key of the key store too. */
function storedKinds(accepted: readonly Delivery[], index: IndexSource): readonly KeyKind[] {
  const kinds = new Set(accepted.flatMap((delivery) => STORED[delivery]));
  if (index === 'local' || index === 'later') kinds.add('index').add('store');
  return [...kinds].sort();
}
