/** Public keys from signed lists, for processes that only seal: no KMS, no key store, no secret of any kind. */
import { createPublicKey, KeyObject } from 'node:crypto';
import { ConfigError, KeyError } from '../errors.js';
import { callback, optionError, parseOptions, type OptionRule } from '../keys/options.js';
import type {
  HandedOutPublicKey,
  KeyScope,
  KeySource,
  LoadOutcome,
  Privilege,
  SourceContext,
} from '../keys/ports.js';
import { indexMac } from './index-macs.js';
import { PublicKeyLists } from '../keys/public-key-list.js';

export interface PublicKeySourceOptions {
  /**
   * The newest list of the purpose, as `publicKeyList` of a `keyStoreSource` signed it. Where it comes from need not be
   * trusted: `(purpose) => readFile('/etc/shop/' + purpose + '.keys', 'utf8')`, a row of a table, an HTTP server. Called
   * at start and about once per `pool.lifetime`; given up after a minute; what it throws is not passed on.
   */
  readonly read: (purpose: string) => Promise<string>;
  /** Ed25519, public, as a KeyObject or PEM. Belongs into the configuration, never beside the lists. */
  readonly verificationKey: KeyObject | string;
}

const PEM = /^\s*-----BEGIN PUBLIC KEY-----/u;

/** A private key would be taken for its public half; nothing private belongs into such a process. */
const publicKeyRule: OptionRule<KeyObject> = (value, path) => {
  if (value instanceof KeyObject) return value;
  try {
    if (typeof value === 'string' && PEM.test(value)) return createPublicKey(value);
  } catch {
    // What OpenSSL says of it may quote it.
  }
  throw optionError(path, 'a public Ed25519 key as a KeyObject or PEM', `a ${typeof value} of another kind`);
};

const OPTIONS = {
  read: callback<PublicKeySourceOptions['read']>(),
  verificationKey: publicKeyRule,
};

/**
 * Public keys for purposes of sealed delivery, in a field seal of access `'write-only'`. A list is taken when the pinned
 * key has signed it for this application, environment and purpose, when it is valid now, and when it is not older than
 * the one before; else `ERR_KEY_LIST_REFUSED`: at start nothing is sealed then, later what was taken before goes on until
 * its end. A process that starts knows no list before, so that of all valid ones it takes any. One source serves one field
 * seal.
 * @throws ConfigError `ERR_CONFIG_OPTION`; `start` also for another access or delivery.
 */
export function publicKeySource(options: PublicKeySourceOptions): KeySource {
  return new PublicKeySource(parseOptions(OPTIONS, options, 'publicKeySource'));
}

interface ParsedOptions extends PublicKeySourceOptions {
  readonly verificationKey: KeyObject;
}

class PublicKeySource implements KeySource {
  readonly #options: ParsedOptions;
  readonly #lists = new Map<string, PublicKeyLists>();
  #context: SourceContext | undefined;

  constructor(options: ParsedOptions) {
    this.#options = options;
    // A key of another kind is told of before anything starts.
    new PublicKeyLists({ application: '', environment: '', purpose: '' }, options.verificationKey);
  }

  start(context: SourceContext): Promise<void> {
    return Promise.resolve().then(() => {
      if (this.#context !== undefined)
        throw wrongUse('a key source of its own for each field seal', 'another');
      if (context.access !== 'write-only')
        throw wrongUse("access 'write-only', since public keys open nothing", `'${context.access}'`);
      this.#context = context;
      for (const { purpose, delivery } of context.policies.values()) {
        if (delivery !== 'sealed') throw hasPublicKeysOnly(purpose, delivery);
        const scope: KeyScope = {
          application: context.application,
          environment: context.environment,
          purpose,
        };
        this.#lists.set(purpose, new PublicKeyLists(scope, this.#options.verificationKey));
      }
    });
  }

  async publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]> {
    const lists = this.#lists.get(purpose);
    const context = this.#context;
    if (lists === undefined || context === undefined) throw hasPublicKeysOnly(purpose, 'an unknown one');
    const { keys, notAfter } = lists.take(await this.#options.read(purpose), context.clock.wall());
    return keys.map(({ key, sealUntil }) => ({ spki: key.spki, sealUntil: Math.min(sealUntil, notAfter) }));
  }

  load(purpose: string, fingerprints: readonly string[]): Promise<readonly LoadOutcome[]> {
    return Promise.resolve(
      fingerprints.map((fingerprint) => ({
        fingerprint,
        error: new KeyError(
          'ERR_KEY_NOT_FOUND',
          `Key ${fingerprint} of purpose ${purpose}: publicKeySource has no key that opens; read with keyStoreSource(…).`,
        ),
      })),
    );
  }

  handOut(purpose: string): Promise<never> {
    return Promise.reject(hasPublicKeysOnly(purpose, 'pool'));
  }

  makeEnvelopeKey(purpose: string): Promise<never> {
    return Promise.reject(hasPublicKeysOnly(purpose, 'envelope'));
  }

  openEnvelopeKey(purpose: string): Promise<never> {
    return Promise.reject(hasPublicKeysOnly(purpose, 'envelope'));
  }

  indexKeys(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    return indexMac(undefined, purpose, version, message);
  }

  /** There is no KMS that could allow anything. */
  notDenied(): Promise<readonly Privilege[]> {
    return Promise.resolve([]);
  }

  kmsCalls(): Readonly<Record<string, number>> {
    return {};
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function wrongUse(expected: string, got: string): ConfigError {
  return new ConfigError('ERR_CONFIG_OPTION', `keys: publicKeySource expects ${expected}, got ${got}.`);
}

function hasPublicKeysOnly(purpose: string, delivery: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `purposes.${purpose}.delivery: expected 'sealed' with publicKeySource, got '${delivery}'; use keyStoreSource(…) or kmsSource(…).`,
  );
}
