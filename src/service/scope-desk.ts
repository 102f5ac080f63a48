/** What the work on one purpose's keys needs from outside. */
import type { FieldSealEvent } from '../keys/events.js';
import type { Policy } from '../keys/policy.js';
import type { Clock, KekProvider, KeyScope, KeyStore, RandomBelow } from '../keys/ports.js';

export interface ScopeDesk {
  readonly scope: KeyScope;
  readonly policy: Policy;
  readonly store: KeyStore;
  readonly kms: KekProvider;
  readonly clock: Clock;
  readonly randomBelow: RandomBelow;
  /** Who stands in the events of moves made here. */
  readonly actor: string;
  readonly emit: (event: FieldSealEvent) => void;
}

/** The scope as messages name it. */
export function nameOf({ application, environment, purpose }: KeyScope): string {
  return `${application}/${environment}/${purpose}`;
}
