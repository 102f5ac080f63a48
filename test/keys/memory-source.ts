/** A key source that lives in memory: real keys from random roots, every call written down, faults on demand. */
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { DataKey } from '../../src/cell/data-key.js';
import { IndexKey } from '../../src/cell/index-key.js';
import { PublicKey } from '../../src/cell/key-pair.js';
import { KeyError, KmsError } from '../../src/errors.js';
import type {
  CellKeyKind,
  EnvelopeKey,
  HandedOutKey,
  HandedOutPublicKey,
  KeySource,
  KeyUsage,
  LoadOutcome,
  Privilege,
  SourceContext,
  UnwrappedKey,
} from '../../src/keys/ports.js';

interface StoredKey {
  readonly fingerprint: string;
  readonly commitment: Buffer;
  readonly version: number;
  readonly root: Buffer;
}

interface StoredPair extends StoredKey {
  readonly publicKey: PublicKey;
}

interface StoredPurpose {
  readonly data: StoredKey[];
  readonly pair: StoredPair[];
  readonly index: StoredKey[];
}

export type Operation =
  | 'start'
  | 'handOut'
  | 'publicKeys'
  | 'load'
  | 'indexKeys'
  | 'makeEnvelopeKey'
  | 'openEnvelopeKey'
  | 'mac'
  | 'notDenied'
  | 'close';

export interface Call {
  readonly operation: Operation;
  readonly purpose: string;
  readonly fingerprints: readonly string[];
  readonly usage: readonly KeyUsage[];
  readonly exhausted: readonly string[];
}

/** Runs before an operation answers: throws, hangs or waits. */
export type Fault = (call: Call) => Promise<unknown>;

export class MemorySource implements KeySource {
  readonly calls: Call[] = [];
  /** Every root that was given away, to see whether it was wiped. */
  readonly lent: Buffer[] = [];
  /** What a hand-out or a load gives instead. */
  garble: (key: UnwrappedKey | HandedOutKey) => UnwrappedKey | HandedOutKey = (key) => key;
  /** Keys a hand-out gives; by default the first of the purpose that are not suspended. */
  choose: (purpose: string) => readonly string[] | undefined = () => undefined;
  readonly suspended = new Set<string>();
  /** What the credentials could do beyond writing. */
  privileges: readonly Privilege[] = [];
  /** Roots of envelope keys, by their wraps. */
  readonly #envelopes = new Map<string, Buffer>();
  readonly #faults = new Map<Operation, Fault>();
  readonly #purposes = new Map<string, StoredPurpose>();
  #context: SourceContext | undefined;

  get context(): SourceContext {
    if (this.#context === undefined) throw new Error('the source was not started');
    return this.#context;
  }

  /** Replaced by undefined, the operation works again. */
  fault(operation: Operation, fault: Fault | undefined): void {
    if (fault === undefined) this.#faults.delete(operation);
    else this.#faults.set(operation, fault);
  }

  count(operation: Operation): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  /** Fingerprints of the purpose's data keys. */
  keys(purpose: string): readonly string[] {
    return this.#purpose(purpose).data.map((key) => key.fingerprint);
  }

  /** Public halves of the purpose's pairs, as anybody may have them. */
  pairs(purpose: string): readonly PublicKey[] {
    return this.#purpose(purpose).pair.map(({ publicKey }) => publicKey);
  }

  /** The key itself, as another process holds it. */
  dataKey(purpose: string, fingerprint: string): DataKey {
    const { root } = this.#stored(purpose, fingerprint);
    return DataKey.derive(Buffer.from(root), this.#owner(purpose));
  }

  addKeys(purpose: string, count: number): readonly string[] {
    const added = Array.from({ length: count }, () => this.#makeDataKey(purpose));
    this.#purpose(purpose).data.push(...added);
    return added.map((key) => key.fingerprint);
  }

  addPair(purpose: string): PublicKey {
    const pair = this.#makePair(purpose);
    this.#purpose(purpose).pair.push(pair);
    return pair.publicKey;
  }

  revoke(fingerprints: readonly string[]): void {
    for (const fingerprint of fingerprints) this.suspended.add(fingerprint);
    this.context.revoke(fingerprints);
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    await this.#called('start');
    for (const policy of context.policies.values()) {
      const stored = this.#purpose(policy.purpose);
      while (stored.data.length < policy.pool.validKeys) this.addKeys(policy.purpose, 1);
      while (policy.delivery === 'sealed' && stored.pair.length < policy.pool.validKeys)
        this.addPair(policy.purpose);
      for (const version of policy.index.versions) {
        if (stored.index.some((key) => key.version === version)) continue;
        stored.index.push(this.#makeIndexKey(policy.purpose, version));
      }
    }
  }

  async handOut(
    purpose: string,
    usage: readonly KeyUsage[],
    exhausted: readonly string[] = [],
  ): Promise<readonly HandedOutKey[]> {
    const policy = this.context.policies.get(purpose)!;
    const chosen = this.choose(purpose) ?? this.keys(purpose).filter((key) => !this.suspended.has(key));
    const now = this.context.clock.wall();
    const retires = now + policy.key.sealForMs;
    const sealUntil = Math.min(retires, now + policy.outage.sealMs) + policy.pool.lifetimeMs;
    await this.#called('handOut', purpose, [], usage, exhausted);
    return chosen
      .slice(0, policy.pool.handOut)
      .map((one) => this.#lend({ ...this.#stored(purpose, one), retires, sealUntil }));
  }

  async publicKeys(purpose: string): Promise<readonly HandedOutPublicKey[]> {
    const { key, pool, outage } = this.context.policies.get(purpose)!;
    const usable = this.pairs(purpose).filter(({ fingerprint }) => !this.suspended.has(fingerprint));
    const sealUntil = this.context.clock.wall() + Math.min(key.sealForMs, outage.sealMs) + pool.lifetimeMs;
    await this.#called('publicKeys', purpose);
    return usable.map(({ spki }) => ({ spki, sealUntil }));
  }

  async load(
    purpose: string,
    fingerprints: readonly string[],
    kind: CellKeyKind = 'data',
  ): Promise<readonly LoadOutcome[]> {
    await this.#called('load', purpose, fingerprints);
    return fingerprints.map((fingerprint) => {
      const stored = this.#purpose(purpose)[kind].find((key) => key.fingerprint === fingerprint);
      if (stored === undefined) return { fingerprint, error: keyError('ERR_KEY_NOT_FOUND') };
      if (this.suspended.has(fingerprint)) return { fingerprint, error: keyError('ERR_KEY_STATE') };
      return { fingerprint, key: this.#lend(stored) };
    });
  }

  async indexKeys(purpose: string): Promise<readonly UnwrappedKey[]> {
    await this.#called('indexKeys', purpose);
    return this.#purpose(purpose).index.map((key) => this.#lend(key));
  }

  async makeEnvelopeKey(purpose: string): Promise<EnvelopeKey> {
    await this.#called('makeEnvelopeKey', purpose);
    const [root, wrapped] = [randomBytes(32), randomBytes(184)];
    this.#envelopes.set(wrapped.toString('hex'), Buffer.from(root));
    this.lent.push(root);
    return { root, wrapped, kekRef: Buffer.alloc(8, 7) };
  }

  async openEnvelopeKey(purpose: string, _kekRef: Uint8Array, wrapped: Uint8Array): Promise<Buffer> {
    await this.#called('openEnvelopeKey', purpose);
    const root = this.#envelopes.get(Buffer.from(wrapped).toString('hex'));
    if (root === undefined) throw new KmsError('ERR_KMS_WRAP_REFUSED', 'no such wrap');
    const lent = Buffer.from(root);
    this.lent.push(lent);
    return lent;
  }

  /** By purpose and version. */
  readonly macKeys = new Map<string, Buffer>();

  async mac(purpose: string, version: number, message: Uint8Array): Promise<Buffer> {
    await this.#called('mac', purpose);
    const name = `${purpose} ${version}`;
    const key = this.macKeys.get(name) ?? randomBytes(32);
    this.macKeys.set(name, key);
    return createHmac('sha256', key).update(message).digest();
  }

  async notDenied(purpose: string): Promise<readonly Privilege[]> {
    await this.#called('notDenied', purpose);
    return this.privileges;
  }

  kmsCalls(): Readonly<Record<string, number>> {
    return { Decrypt: this.lent.length };
  }

  async close(): Promise<void> {
    await this.#called('close');
  }

  async #called(
    operation: Operation,
    purpose = '',
    fingerprints: readonly string[] = [],
    usage: readonly KeyUsage[] = [],
    exhausted: readonly string[] = [],
  ): Promise<void> {
    const call = { operation, purpose, fingerprints, usage, exhausted };
    this.calls.push(call);
    await this.#faults.get(operation)?.(call);
  }

  #lend<Key extends UnwrappedKey>(key: Key): Key {
    const lent = this.garble({ ...key, root: Buffer.from(key.root) }) as Key;
    this.lent.push(lent.root);
    return lent;
  }

  #stored(purpose: string, fingerprint: string): StoredKey {
    return this.#purpose(purpose).data.find((key) => key.fingerprint === fingerprint)!;
  }

  #makeDataKey(purpose: string): StoredKey {
    const root = randomBytes(32);
    const { fingerprint, commitment } = DataKey.derive(Buffer.from(root), this.#owner(purpose));
    return { fingerprint, commitment, version: 0, root };
  }

  #makePair(purpose: string): StoredPair {
    const { publicKey, privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    const { environment } = this.context;
    const parsed = PublicKey.parse(publicKey, { ...this.#owner(purpose), environment });
    const { fingerprint, commitment } = parsed;
    return { fingerprint, commitment, version: 0, root: privateKey, publicKey: parsed };
  }

  #makeIndexKey(purpose: string, version: number): StoredKey {
    const root = randomBytes(32);
    const { fingerprint, commitment } = IndexKey.derive(Buffer.from(root), this.#owner(purpose), version);
    return { fingerprint, commitment, version, root };
  }

  #owner(purpose: string): { readonly application: string; readonly purpose: string } {
    return { application: this.context.application, purpose };
  }

  #purpose(purpose: string): StoredPurpose {
    let stored = this.#purposes.get(purpose);
    if (stored === undefined) this.#purposes.set(purpose, (stored = { data: [], pair: [], index: [] }));
    return stored;
  }
}

export const hang: Fault = () => new Promise(() => undefined);

export function fail(error: unknown): Fault {
  // The tests throw foreign things on purpose.
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
  return () => Promise.reject(error);
}

/** Holds calls back until `open()`. */
export function gate(): { readonly fault: Fault; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    fault: () => opened,
    open: () => {
      open();
    },
  };
}

function keyError(code: 'ERR_KEY_NOT_FOUND' | 'ERR_KEY_STATE'): KeyError {
  return new KeyError(code, 'as the memory source says');
}
