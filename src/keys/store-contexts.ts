/** What a purpose may have in a key store, as the KMS tells it apart. */
import { hasIndexKeys } from './delivery-options.js';
import type { Policy } from './policy.js';
import type { WrapContext } from './ports.js';

export type StoreContext = Pick<WrapContext, 'kind' | 'delivery'>;

/** The contexts of all wraps that cells and blind indexes of the purpose may need, beside those of envelope cells. */
export function storeContexts({ accept, index }: Policy): readonly StoreContext[] {
  const contexts: StoreContext[] = [];
  if (accept.deliveries.includes('pool')) contexts.push({ kind: 'data', delivery: 'pool' });
  if (accept.deliveries.includes('sealed')) contexts.push({ kind: 'pair', delivery: 'sealed' });
  if (hasIndexKeys(index)) contexts.push({ kind: 'index', delivery: 'pool' });
  // The key that all rows of the key store are bound by: whoever opens it makes rows that others believe.
  if (contexts.length > 0) contexts.push({ kind: 'store', delivery: 'pool' });
  return contexts;
}
