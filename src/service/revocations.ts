/** Takes revoked keys out of this process: at once where the key store tells of them. */
import { isFieldSealError } from '../errors.js';
import type { KeyStore, SourceContext } from '../keys/ports.js';
import { stateOpens } from '../keys/states.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';
import type { ScopeLedger } from './scope-ledger.js';

/** Until states that could not be looked up are looked up again, ms. Keys live on at most for `openCache` meanwhile. */
const RETRY_MS = 5_000;

/** The purposes of a source with their ledgers. */
export type OpenScopes = readonly { readonly desk: ScopeDesk; readonly ledger: ScopeLedger }[];

/** Listens until the returned function is called. A store without a channel is not listened to. */
export async function watchRevocations(
  context: SourceContext,
  store: KeyStore,
  scopes: OpenScopes,
): Promise<() => Promise<void>> {
  let closed = false;
  let cancelRetry = (): void => undefined;
  const lookUp = async (): Promise<void> => {
    const done = await revokeWhatMayNotBeHeld(context, scopes);
    cancelRetry();
    if (!done && !closed) cancelRetry = context.clock.after(RETRY_MS, () => void lookUp());
  };
  const stop = await store.watch?.((fingerprints) => {
    if (closed) return;
    if (fingerprints === 'unknown') void lookUp();
    else context.revoke(fingerprints);
  });
  return async () => {
    closed = true;
    cancelRetry();
    await stop?.();
  };
}

/** False when the states of a purpose could not be looked up. */
async function revokeWhatMayNotBeHeld(context: SourceContext, scopes: OpenScopes): Promise<boolean> {
  let done = true;
  for (const { desk, ledger } of scopes) {
    const held = context.held(desk.scope.purpose);
    if (held.length === 0) continue;
    try {
      const { keys } = await ledger.read(desk.store, (reader) => reader.find(desk.scope, held), held);
      const lost = held.filter((fingerprint) => !mayOpen(keys.get(fingerprint)?.state));
      if (lost.length > 0) context.revoke(lost);
    } catch (error) {
      done = false;
      const reason = isFieldSealError(error) ? error.message : 'The key store failed in an unknown way.';
      const message = `${nameOf(desk.scope)}: messages about revoked keys may have been lost, and the states of held keys could not be looked up. ${reason}`;
      desk.emit({ type: 'warning', code: 'ERR_STORE_UNAVAILABLE', message });
    }
  }
  return done;
}

function mayOpen(state: Parameters<typeof stateOpens>[0] | undefined): boolean {
  return state !== undefined && stateOpens(state);
}
