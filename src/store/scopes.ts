/** Scopes as the stores compare and name them. */
import type { KeyScope } from '../keys/ports.js';

export function isSameScope(a: KeyScope, b: KeyScope): boolean {
  return a.application === b.application && a.environment === b.environment && a.purpose === b.purpose;
}

/** For messages: `shop/production/card-number`. */
export function describeScope({ application, environment, purpose }: KeyScope): string {
  return `${application}/${environment}/${purpose}`;
}
