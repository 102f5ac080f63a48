/** Keys from a KMS alone, for envelope delivery: every cell carries its data key, and there is no key store. */
import { ConfigError } from '../errors.js';
import { objectWith, parseOptions } from '../keys/options.js';
import type { FieldSealEvent } from '../keys/events.js';
import { storeContexts } from '../keys/store-contexts.js';
import type {
  Access,
  EnvelopeKey,
  HandedOutKey,
  HandedOutPublicKey,
  KekProvider,
  KeyScope,
  KeySource,
  LoadOutcome,
  Privilege,
  SourceContext,
} from '../keys/ports.js';
import { makeEnvelopeKey, openEnvelopeKey } from './envelopes.js';
import { hasIndexMac, indexMac } from './index-macs.js';
import { checkConfiguredKeks, configuredKeks } from './kek-spread.js';
import { notStored } from './not-stored.js';
import { StartedOnce } from './started-once.js';

export interface KmsSourceOptions {
  /** The KEKs. Started and closed by the source. */
  readonly kms: KekProvider;
}

/** A KEK provider that makes and opens envelope keys. */
export const envelopeKms = objectWith<KekProvider>('a KEK provider, such as awsKms(…)', [
  'start',
  'startWriteOnly',
  'startReadOnly',
  'generateEnvelope',
  'unwrapEnvelope',
  'close',
]);

const OPTIONS = { kms: envelopeKms };

/**
 * Keys for purposes of envelope delivery. A write-only process needs GenerateDataKey alone, a read-only one Decrypt (and
 * DescribeKey for KEKs that are not named by their ARN), a process that does both all three, and for indexes that the KMS
 * makes (`index: 'kms'`) GenerateMac. It has no index keys of its own. One source serves one field seal.
 * @throws ConfigError `ERR_CONFIG_OPTION`; `start` also for a purpose of another delivery.
 */
export function kmsSource(options: KmsSourceOptions): KeySource {
  return new KmsSource(parseOptions(OPTIONS, options, 'kmsSource').kms);
}

type Start = (
  kms: KekProvider,
  scopes: readonly KeyScope[],
  emit: (event: FieldSealEvent) => void,
) => Promise<void>;

const purposesOf = (scopes: readonly KeyScope[]): string[] => scopes.map(({ purpose }) => purpose);

/** Each asks the KMS for no more than its process may do. */
const START: Readonly<Record<Access, Start>> = {
  'read-write': (kms, scopes, emit) => kms.start(purposesOf(scopes), emit),
  'read-only': (kms, scopes, emit) => kms.startReadOnly(purposesOf(scopes), emit),
  'write-only': (kms, scopes, emit) => kms.startWriteOnly(scopes, emit),
};

class KmsSource implements KeySource {
  readonly #kms: KekProvider;
  readonly #started = new StartedOnce();

  constructor(kms: KekProvider) {
    this.#kms = kms;
  }

  async start(context: SourceContext): Promise<void> {
    this.#started.start(context);
    for (const { purpose, delivery } of context.policies.values()) {
      if (delivery !== 'envelope') throw needsKeyStore(purpose, delivery);
    }
    await START[context.access](
      this.#kms,
      [...context.policies.keys()].map((purpose) => this.#started.scope(purpose)),
      (event) => {
        context.emit(event);
      },
    );
    if (context.access === 'read-only') return;
    for (const policy of context.policies.values()) {
      checkConfiguredKeks(policy, configuredKeks(this.#kms, policy.purpose), (event) => {
        context.emit(event);
      });
    }
  }

  makeEnvelopeKey(purpose: string): Promise<EnvelopeKey> {
    const { context } = this.#started;
    return makeEnvelopeKey(this.#kms, this.#started.scope(purpose), context.randomBelow);
  }

  openEnvelopeKey(purpose: string, kekRef: Uint8Array, wrapped: Uint8Array): Promise<Buffer> {
    return openEnvelopeKey(this.#kms, this.#started.scope(purpose), kekRef, wrapped);
  }

  mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    return indexMac(this.#kms, purpose, version, message);
  }

  hasMacKey(purpose: string, version: number): boolean {
    return hasIndexMac(this.#kms, purpose, version);
  }

  notDenied(purpose: string): Promise<readonly Privilege[]> {
    const policy = this.#started.context.policies.get(purpose);
    const scope = this.#started.scope(purpose);
    return this.#kms.notDenied(scope, policy && storeContexts(policy));
  }

  handOut(purpose: string): Promise<readonly HandedOutKey[]> {
    return Promise.reject(needsKeyStore(purpose, 'pool'));
  }

  publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]> {
    return Promise.reject(needsKeyStore(purpose, 'sealed'));
  }

  load(purpose: string, fingerprints: readonly string[]): Promise<readonly LoadOutcome[]> {
    const why = 'kmsSource has none; read such cells with keyStoreSource(…)';
    return Promise.resolve(notStored(purpose, fingerprints, why));
  }

  indexKeys(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  kmsCalls(): Readonly<Record<string, number>> {
    return this.#kms.calls();
  }

  close(): Promise<void> {
    return this.#kms.close();
  }
}

function needsKeyStore(purpose: string, delivery: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${purpose}.delivery: expected 'envelope' with kmsSource, got '${delivery}', whose keys live in a key store; use keyStoreSource(…).`,
  );
}
