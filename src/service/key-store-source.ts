/** The in-process key service: keys from a key store and a KMS, without a server in between. */
import type { KeyObject } from 'node:crypto';
import { ConfigError, type ErrorCode, isFieldSealError, KeyError } from '../errors.js';
import type { FieldSealEvent } from '../keys/events.js';
import { hasIndexKeys } from '../keys/delivery-options.js';
import { flag, objectWith, parseOptions, text, withDefault } from '../keys/options.js';
import type {
  CellKeyKind,
  EnvelopeKey,
  HandedOutKey,
  HandedOutPublicKey,
  KekProvider,
  KeyScope,
  KeyStore,
  KeyUsage,
  LoadOutcome,
  Privilege,
  SourceContext,
  UnwrappedKey,
} from '../keys/ports.js';
import type { Policy } from '../keys/policy.js';
import { storeContexts } from '../keys/store-contexts.js';
import { CountedUsage } from './counted-usage.js';
import { makeEnvelopeKey, openEnvelopeKey } from './envelopes.js';
import { publicHalves, unwrapDrawn } from './hand-out.js';
import { hasIndexMac, indexMac } from './index-macs.js';
import { checkConfiguredKeks, configuredKeks } from './kek-spread.js';
import { loadIndexKeys, loadKeys } from './load-keys.js';
import { readMoment } from './moment.js';
import { notStored } from './not-stored.js';
import { assertSealed, signedList, type PublishingKeySource } from './public-key-listing.js';
import { watchRevocations } from './revocations.js';
import type { ScopeDesk } from './scope-desk.js';
import type { ScopeLedger } from './scope-ledger.js';
import { applicationRole, keyServiceRole, readingRole, type SourceRole } from './source-roles.js';
import { StartedOnce } from './started-once.js';

export interface KeyStoreSourceOptions {
  /** Where wrapped keys live. Started and closed by the source. */
  readonly store: KeyStore;
  /** The KEKs. Started and closed by the source. */
  readonly kms: KekProvider;
  /**
   * Whether this process makes, promotes, retires and counts keys (the key-service role: it writes the key store and
   * may generate keys at the KMS) or only reads them (the application role). Default true. With false an empty key
   * store is `ERR_STORE_EMPTY`, usage of keys is not counted beyond this process, and suite xaes-256-gcm is refused.
   */
  readonly manage?: boolean;
  /** Who stands in the key events that this process writes. Default `'key-store-source'`. */
  readonly actor?: string;
}

const OPTIONS = {
  store: objectWith<KeyStore>('a key store, such as postgresKeyStore(…)', [
    'start',
    'withLock',
    'find',
    'close',
  ]),
  kms: objectWith<KekProvider>('a KEK provider, such as awsKms(…)', [
    'start',
    'startReadOnly',
    'generate',
    'unwrap',
    'close',
  ]),
  manage: withDefault(flag(), true),
  actor: withDefault(text(), 'key-store-source'),
};

const ALARMS: ReadonlySet<ErrorCode> = new Set([
  'ERR_STORE_EVENTS',
  'ERR_STORE_KEY',
  'ERR_STORE_ROW',
  'ERR_STORE_ROW_MAC',
  'ERR_STORE_REVISION',
  'ERR_KEY_COMMITMENT',
]);

/**
 * Keys from a key store, under KEKs of a KMS. It has no timer: with `manage` the clockwork runs at start and before each
 * hand-out, under the lock of the purpose, so any number of processes may manage at once.
 *
 * `start` makes the keys that an empty key store lacks (with `manage`), checks the events of every purpose from the
 * first on, and raises an alarm for every row that was changed, deleted or put back. A purpose that opens cells of
 * envelope delivery alone and has no index keeps nothing in the key store. One source serves one field seal.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function keyStoreSource(options: KeyStoreSourceOptions): PublishingKeySource {
  return new KeyStoreSource(parseOptions(OPTIONS, options, 'keyStoreSource'));
}

/** One purpose at work. */
interface OpenScope {
  readonly desk: ScopeDesk;
  readonly role: SourceRole;
  readonly ledger: ScopeLedger;
  readonly counted: CountedUsage;
}

class KeyStoreSource implements PublishingKeySource {
  readonly #options: Required<KeyStoreSourceOptions>;
  /** Of the purposes that keep keys in the key store. */
  readonly #scopes = new Map<string, OpenScope>();
  readonly #started = new StartedOnce();
  #closed = false;
  #stopWatching: (() => Promise<void>) | undefined;

  constructor(options: Required<KeyStoreSourceOptions>) {
    this.#options = options;
  }

  async start(context: SourceContext): Promise<void> {
    if (context.access === 'write-only') throw notForWriters();
    this.#started.start(context);
    const { store, kms, manage } = this.#options;
    const stored = [...context.policies.values()].filter(keepsKeys);
    const roles = stored.map((policy) => this.#roleFor(context, policy));
    await store.start(manage ? 'manage' : 'read');
    const onlyReads = manage && context.access === 'read-only' && (await isCopy(store));
    if (onlyReads) context.emit(managesNothing());
    // Who makes no key and wraps none needs nothing but Decrypt.
    const startKms = context.access === 'read-only' && !manage ? 'startReadOnly' : 'start';
    await kms[startKms]([...context.policies.keys()], (event) => {
      context.emit(event);
    });
    if (context.access !== 'read-only') this.#checkKeksOfEnvelopes(context);
    await this.#alarmed(async () => {
      for (const { desk, role } of roles) await this.#open(desk, onlyReads ? readingRole(desk) : role);
    });
    this.#stopWatching = await watchRevocations(context, store, [...this.#scopes.values()]);
    if (this.#closed) await this.#stopWatching();
  }

  handOut(
    purpose: string,
    usage: readonly KeyUsage[],
    exhausted: readonly string[] = [],
  ): Promise<readonly HandedOutKey[]> {
    return this.#alarmed(async () => {
      const { desk, role, ledger, counted } = this.#scope(purpose);
      const report = { usage: counted.uncounted(usage), exhausted };
      const chosen = await role.choose(ledger, 'data', report);
      counted.wrote(usage);
      const keys = await unwrapDrawn(desk, chosen, (next) => role.claim(ledger, next));
      counted.acknowledged();
      return keys;
    });
  }

  publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]> {
    return this.#alarmed(async () => {
      const { desk, role, ledger } = this.#scope(purpose);
      return publicHalves(desk, await role.choose(ledger, 'pair'));
    });
  }

  publicKeyList(purpose: string, signingKey: KeyObject): Promise<string> {
    return this.#alarmed(async () => {
      assertSealed(this.#policy(purpose));
      const { desk, role, ledger } = this.#scope(purpose);
      const { doubt } = await readMoment(desk, desk.store);
      if (doubt !== undefined) throw doubt;
      return signedList(desk, await role.choose(ledger, 'pair'), signingKey);
    });
  }

  load(
    purpose: string,
    fingerprints: readonly string[],
    kind: CellKeyKind = 'data',
  ): Promise<readonly LoadOutcome[]> {
    return this.#alarmed(async () => {
      if (!keepsKeys(this.#policy(purpose))) return notStored(purpose, fingerprints, ENVELOPES_ALONE);
      const { desk, ledger } = this.#scope(purpose);
      return loadKeys(desk, ledger, fingerprints, kind);
    });
  }

  indexKeys(purpose: string): Promise<readonly UnwrappedKey[] | undefined> {
    return this.#alarmed(async () => {
      if (!keepsKeys(this.#policy(purpose))) return undefined;
      const { desk, ledger } = this.#scope(purpose);
      return loadIndexKeys(desk, ledger);
    });
  }

  makeEnvelopeKey(purpose: string): Promise<EnvelopeKey> {
    const { randomBelow } = this.#started.context;
    return makeEnvelopeKey(this.#options.kms, this.#keyScope(purpose), randomBelow);
  }

  openEnvelopeKey(purpose: string, kekRef: Uint8Array, wrapped: Uint8Array): Promise<Buffer> {
    return openEnvelopeKey(this.#options.kms, this.#keyScope(purpose), kekRef, wrapped);
  }

  mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    return indexMac(this.#options.kms, purpose, version, message);
  }

  hasMacKey(purpose: string, version: number): boolean {
    return hasIndexMac(this.#options.kms, purpose, version);
  }

  notDenied(purpose: string): Promise<readonly Privilege[]> {
    return this.#options.kms.notDenied(this.#keyScope(purpose), storeContexts(this.#policy(purpose)));
  }

  kmsCalls(): Readonly<Record<string, number>> {
    return this.#options.kms.calls();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { store, kms } = this.#options;
    for (const { ledger } of this.#scopes.values()) ledger.close();
    // All at once: none of them may wait for another one that waits for a server.
    await Promise.all([this.#stopWatching?.(), store.close(this.#toldCutOff), kms.close()]);
  }

  readonly #toldCutOff = (what: string): void => {
    const message = `Close of the key store: the database does not answer; cut off: ${what}.`;
    this.#started.context.emit({ type: 'warning', code: 'ERR_STORE_UNAVAILABLE', message });
  };

  /** Of the other deliveries, who makes the keys of the key store looks at them. */
  #checkKeksOfEnvelopes(context: SourceContext): void {
    const { kms, manage } = this.#options;
    for (const policy of context.policies.values()) {
      if (policy.delivery !== 'envelope' || (manage && keepsKeys(policy))) continue;
      checkConfiguredKeks(policy, configuredKeks(kms, policy.purpose), (event) => {
        context.emit(event);
      });
    }
  }

  #roleFor(context: SourceContext, policy: Policy): { readonly desk: ScopeDesk; readonly role: SourceRole } {
    const { clock, randomBelow } = context;
    const { store, kms, manage, actor } = this.#options;
    const desk: ScopeDesk = {
      scope: this.#started.scope(policy.purpose),
      ...{ policy, store, kms, clock, randomBelow, actor },
      emit: (event) => {
        if (!this.#closed || !isOfClose(event)) context.emit(event);
      },
    };
    return { desk, role: manage ? keyServiceRole(desk) : applicationRole(desk) };
  }

  async #open(desk: ScopeDesk, role: SourceRole): Promise<void> {
    const ledger = await role.open();
    if (this.#closed) {
      ledger.close();
      throw closed();
    }
    this.#scopes.set(desk.scope.purpose, { desk, role, ledger, counted: new CountedUsage() });
  }

  /** An error that shows a changed key store is an alarm as well, whoever catches it. */
  async #alarmed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isFieldSealError(error) && ALARMS.has(error.code)) {
        this.#started.context.emit({ type: 'alarm', code: error.code, message: error.message });
      }
      throw error;
    }
  }

  #keyScope(purpose: string): KeyScope {
    return this.#started.scope(this.#policy(purpose).purpose);
  }

  /** @throws ConfigError `ERR_CONFIG_OPTION` for a purpose that keeps no keys. */
  #scope(purpose: string): OpenScope {
    this.#policy(purpose);
    const scope = this.#scopes.get(purpose);
    if (scope !== undefined) return scope;
    throw new ConfigError(
      'ERR_CONFIG_OPTION',
      `purposes.${purpose}.delivery: expected another one than 'envelope' for keys of the key store, where ${ENVELOPES_ALONE}.`,
    );
  }

  #policy(purpose: string): Policy {
    if (this.#closed) throw closed();
    const { policies } = this.#started.context;
    const policy = policies.get(purpose);
    if (policy !== undefined) return policy;
    throw new ConfigError(
      'ERR_CONFIG_PURPOSE_UNKNOWN',
      `The key source has no purpose of this name (got ${purpose.length} characters); purposes it was started with: ${[...policies.keys()].join(', ')}.`,
    );
  }
}

/** The close ends calls of the KMS that are under way: that is no news of it, and calls nobody out of bed. */
function isOfClose(event: FieldSealEvent): boolean {
  return event.type === 'alarm' && event.code === 'ERR_KMS_UNAVAILABLE';
}

const ENVELOPES_ALONE =
  'a purpose of envelope delivery has none; name the delivery of older cells in accept.deliveries';

/** Where every key travels in its cell the key store holds none, and no role needs a right on any for it. */
function keepsKeys({ accept, index }: Policy): boolean {
  return accept.deliveries.some((delivery) => delivery !== 'envelope') || hasIndexKeys(index);
}

function isCopy(store: KeyStore): Promise<boolean> {
  return store.atOneMoment(({ mayLag }) => Promise.resolve(mayLag));
}

function managesNothing(): FieldSealEvent {
  return {
    type: 'warning',
    code: 'ERR_STORE_UNAVAILABLE',
    message:
      'keyStoreSource: the key store is a hot standby, which takes no writes, so this process makes and moves no key; ' +
      'say manage: false for it, and run one with manage: true at the primary.',
  };
}

/** The key store is read with a key that the KMS unwraps, and a write-only process may unwrap nothing. */
function notForWriters(): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    "keys: expected kmsSource(…) or publicKeySource(…) for access 'write-only', got keyStoreSource, which has to unwrap keys.",
  );
}

function closed(): KeyError {
  return new KeyError('ERR_CLOSED', 'The key source is closed; make a new field seal with a new key source.');
}
