/** Takes revoked keys out of this process: at once where the key store tells of them. */
import { isFieldSealError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import type { ChannelState, KeyStore, SourceContext } from '../keys/ports.js';
import { stateOpens } from '../keys/states.js';
import { nameOf, type ScopeDesk } from './scope-desk.js';
import { alarmRefused, type ScopeLedger } from './scope-ledger.js';

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
  let looking = false;
  let cancelRetry = (): void => undefined;
  /** Told of, and not looked up yet. */
  const named = new Set<string>();
  let isAsked = false;

  const lookUp = async (): Promise<void> => {
    // Messages that come while states are looked up are answered by one further look.
    isAsked = true;
    if (looking) return;
    looking = true;
    cancelRetry();
    let done = true;
    while (isAsked && !closed) {
      isAsked = false;
      const fingerprints = [...named];
      done = await revokeWhatMayNotBeHeld(context, scopes, fingerprints, () => closed);
      if (done) for (const fingerprint of fingerprints) named.delete(fingerprint);
    }
    looking = false;
    if (!done && !closed) cancelRetry = context.clock.after(RETRY_MS, () => void lookUp());
  };

  // Anybody who may connect to the database may send such a message: it is a reason to look, never to believe.
  const stop = await store.watch?.(
    (fingerprints) => {
      if (closed) return;
      if (fingerprints !== 'unknown') for (const fingerprint of fingerprints) named.add(fingerprint);
      void lookUp();
    },
    (state) => {
      if (!closed) context.emit(channelEvent(state));
    },
  );
  return async () => {
    closed = true;
    cancelRetry();
    await stop?.();
  };
}

/** A stop that comes late is for whoever is on duty, unless it cannot be otherwise. */
function channelEvent(state: ChannelState): FieldSealEvent {
  const code = 'ERR_STORE_UNAVAILABLE';
  if (state.delivers) {
    return { type: 'warning', code, message: 'Key store: its channel of revocations delivers again.' };
  }
  const { expected, reason, pollEveryMs } = state;
  return {
    type: expected ? 'warning' : 'alarm',
    code,
    message:
      `Key store: a key that is stopped leaves this process late, when its state is looked up every ${pollEveryMs} ms, ` +
      `since its channel of revocations delivers nothing: ${reason.replace(/\.$/u, '')}.`,
  };
}

/** False when the states of a purpose could not be looked up. */
async function revokeWhatMayNotBeHeld(
  context: SourceContext,
  scopes: OpenScopes,
  named: readonly string[],
  isClosed: () => boolean,
): Promise<boolean> {
  let done = true;
  for (const { desk, ledger } of scopes) {
    const held = context.held(desk.scope.purpose);
    const wanted = [...new Set([...held, ...named])];
    if (wanted.length === 0) continue;
    try {
      const { keys, refused } = await ledger.read(
        desk.store,
        (reader) => reader.find(desk.scope, wanted),
        wanted,
      );
      alarmRefused(desk, { refused });
      // What is held of this purpose must be here; what somebody named may belong to another one.
      const isHere = (fingerprint: string) => keys.has(fingerprint) || refused.has(fingerprint);
      const lost = wanted
        .filter((fingerprint) => held.includes(fingerprint) || isHere(fingerprint))
        .filter((fingerprint) => !mayOpen(keys.get(fingerprint)?.state));
      if (lost.length > 0) context.revoke(lost);
    } catch (error) {
      // The close takes the ledger and the connections away, and the keys with them.
      if (isClosed()) return true;
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
