/** What a wrap is bound to. */
import type { KeyScope, WrapContext } from '../keys/ports.js';

/** The context of one wrap: a wrap in a key store has a wrapId, one that a cell carries has none. */
export type BoundContext = Omit<WrapContext, 'wrapId'> & { readonly wrapId?: string };

/** The context of a data key whose wrap stands in the cells themselves. */
export function envelopeContext({ application, environment, purpose }: KeyScope): BoundContext {
  return { application, environment, purpose, kind: 'data', delivery: 'envelope' };
}

/** Exactly these, in this order; without a wrapId the last is not there, which is another context than an empty one. */
export function membersOf(context: BoundContext): Record<string, string> {
  const { application, environment, purpose, kind, delivery, wrapId } = context;
  const members = { application, environment, purpose, kind, delivery };
  return wrapId === undefined ? members : { ...members, wrapId };
}
