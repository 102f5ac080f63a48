/** Public keys from signed lists, for processes that only seal: no key store, no secret of any kind, and no KMS but for envelopes. */
import { createPublicKey, KeyObject } from 'node:crypto';
import { ConfigError, isError, isFieldSealError, KeyError } from '../errors.js';
import {
  callback,
  describeValue,
  optional,
  optionError,
  parseOptions,
  type OptionRule,
} from '../keys/options.js';
import type { Policy } from '../keys/policy.js';
import type {
  EnvelopeKey,
  HandedOutPublicKey,
  KekProvider,
  KeySource,
  LoadOutcome,
  Privilege,
  SourceContext,
} from '../keys/ports.js';
import { PublicKeyLists } from '../keys/public-key-list.js';
import { hasIndexMac, indexMac } from './index-macs.js';
import { envelopeKms, kmsSource } from './kms-source.js';
import { notStored } from './not-stored.js';
import { StartedOnce } from './started-once.js';

export interface PublicKeySourceOptions {
  /**
   * The newest list of the purpose, as `publicKeyList` of a `keyStoreSource` signed it. Where it comes from need not be
   * trusted: `(purpose) => readFile('/etc/shop/' + purpose + '.keys', 'utf8')`, a row of a table, an HTTP server. Called
   * at start and about once per `pool.lifetime`; given up after a minute; what it throws is not passed on.
   */
  readonly read: (purpose: string) => Promise<string>;
  /** Ed25519, public, as a KeyObject or PEM. Belongs into the configuration, never beside the lists. */
  readonly verificationKey: KeyObject | string;
  /**
   * The KEKs, where the field seal has purposes of envelope delivery too; started and closed by the source. They cost what
   * they cost with `kmsSource`: a call for each KEK at start, the privilege check, and a GenerateDataKey for each data key.
   * Purposes of sealed delivery ask nothing of it, nor is it checked what it allows under their KEKs: give these
   * credentials no right there. Default: none, and purposes of envelope delivery are refused.
   */
  readonly kms?: KekProvider;
}

const PEM = /^\s*-----BEGIN PUBLIC KEY-----/u;
const PRIVATE_PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----/u;

/** A private key would be taken for its public half; nothing private belongs into such a process. */
const publicKeyRule: OptionRule<KeyObject> = (value, path) => {
  if (value instanceof KeyObject) return value;
  try {
    if (typeof value === 'string' && PEM.test(value)) return createPublicKey(value);
  } catch {
    // What OpenSSL says of it may quote it.
  }
  const isPrivate = typeof value === 'string' && PRIVATE_PEM.test(value);
  const got = isPrivate ? 'a private key, which belongs where lists are signed' : describeValue(value);
  throw optionError(path, 'a public Ed25519 key as a KeyObject or PEM', got);
};

const OPTIONS = {
  read: callback<PublicKeySourceOptions['read']>(),
  verificationKey: publicKeyRule,
  kms: optional(envelopeKms),
};

/**
 * Public keys for purposes of sealed delivery, in a field seal of access `'write-only'`, and with `kms` data keys for
 * purposes of envelope delivery beside them. A list is taken when the pinned key has signed it for this application,
 * environment and purpose, when it is valid now, and when it is not older than the one before; else
 * `ERR_KEY_LIST_REFUSED`: at start nothing is sealed then, later what was taken before goes on until its end. A process
 * that starts knows no list before, so that of all valid ones it takes any. One source serves one field seal.
 * @throws ConfigError `ERR_CONFIG_OPTION`; `start` also for another access or delivery; with `kms` KmsError as `kmsSource`.
 */
export function publicKeySource(options: PublicKeySourceOptions): KeySource {
  return new PublicKeySource(parseOptions(OPTIONS, options, 'publicKeySource'));
}

interface ParsedOptions {
  readonly read: PublicKeySourceOptions['read'];
  readonly verificationKey: KeyObject;
  readonly kms: KekProvider | undefined;
}

class PublicKeySource implements KeySource {
  readonly #options: ParsedOptions;
  readonly #started = new StartedOnce();
  readonly #lists = new Map<string, PublicKeyLists>();
  /** Of the purposes of envelope delivery; undefined where there may be none. */
  readonly #envelopes: KeySource | undefined;

  constructor(options: ParsedOptions) {
    this.#options = options;
    this.#envelopes = options.kms && kmsSource({ kms: options.kms });
    // A key of another kind is told of before anything starts.
    new PublicKeyLists({ application: '', environment: '', purpose: '' }, options.verificationKey);
  }

  async start(context: SourceContext): Promise<void> {
    if (context.access !== 'write-only') throw onlyWrites(context.access);
    this.#started.start(context);
    const envelopes = new Map<string, Policy>();
    for (const policy of context.policies.values()) {
      const { purpose, delivery } = policy;
      if (delivery === 'sealed') this.#lists.set(purpose, this.#listsOf(purpose));
      else if (delivery === 'envelope' && this.#envelopes !== undefined) envelopes.set(purpose, policy);
      else throw hasNoKeys(purpose, delivery);
    }
    await this.#envelopes?.start({ ...context, policies: envelopes });
  }

  async publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]> {
    const lists = this.#lists.get(purpose);
    if (lists === undefined) throw hasNoKeys(purpose, 'another one');
    const { clock } = this.#started.context;
    const { keys, notAfter } = await lists.take(await this.#read(purpose), clock.wall());
    return keys.map(({ key, sealUntil }) => ({
      spki: key.spki,
      parsed: key,
      sealUntil: Math.min(sealUntil, notAfter),
    }));
  }

  async makeEnvelopeKey(purpose: string): Promise<EnvelopeKey> {
    if (this.#envelopes === undefined) throw hasNoKeys(purpose, 'envelope');
    return this.#envelopes.makeEnvelopeKey(purpose);
  }

  /** A process that only writes has nothing that opens, nor may the KMS open anything for it. */
  openEnvelopeKey(purpose: string): Promise<never> {
    return Promise.reject(opensNothing(purpose));
  }

  /** For a purpose with a list there is no KMS that could allow anything. */
  async notDenied(purpose: string): Promise<readonly Privilege[]> {
    return this.#lists.has(purpose) ? [] : ((await this.#envelopes?.notDenied(purpose)) ?? []);
  }

  handOut(purpose: string): Promise<never> {
    return Promise.reject(hasNoKeys(purpose, 'pool'));
  }

  load(purpose: string, fingerprints: readonly string[]): Promise<readonly LoadOutcome[]> {
    const why = 'publicKeySource has none; read such cells with keyStoreSource(…)';
    return Promise.resolve(notStored(purpose, fingerprints, why));
  }

  indexKeys(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    return indexMac(this.#options.kms, purpose, version, message);
  }

  hasMacKey(purpose: string, version: number): boolean {
    return hasIndexMac(this.#options.kms, purpose, version);
  }

  kmsCalls(): Readonly<Record<string, number>> {
    return this.#envelopes?.kmsCalls() ?? {};
  }

  async close(): Promise<void> {
    await this.#envelopes?.close();
  }

  /** What the application's function throws may hold anything; its class and code are told. */
  async #read(purpose: string): Promise<string> {
    try {
      return await this.#options.read(purpose);
    } catch (error) {
      if (isFieldSealError(error)) throw error;
      throw new KeyError(
        'ERR_KEY_UNAVAILABLE',
        `publicKeySource.read of purpose ${purpose}: expected the text of a list, got an error (${kindOf(error)}). Check that ` +
          'the place where the lists lie can be read.',
      );
    }
  }

  #listsOf(purpose: string): PublicKeyLists {
    return new PublicKeyLists(this.#started.scope(purpose), this.#options.verificationKey);
  }
}

function kindOf(error: unknown): string {
  const { code } = Object(error) as { readonly code?: unknown };
  const kind = isError(error) ? error.constructor.name : typeof error;
  return typeof code === 'string' && /^[A-Z0-9_]{1,40}$/u.test(code) ? `${kind}, ${code}` : kind;
}

function onlyWrites(got: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `keys: publicKeySource expects access 'write-only', since public keys open nothing, got '${got}'.`,
  );
}

function opensNothing(purpose: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `Purpose ${purpose}: publicKeySource opens no cell; read with keyStoreSource(…) or kmsSource(…).`,
  );
}

function hasNoKeys(purpose: string, delivery: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${purpose}.delivery: expected 'sealed' with publicKeySource, or 'envelope' and its option kms, such as ` +
      `awsKms(…), got '${delivery}'; add kms, or use keyStoreSource(…).`,
  );
}
