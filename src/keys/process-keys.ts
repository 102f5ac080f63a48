/** All keys of this process: what each purpose seals with and opens with, and the key source behind them. */
import type { FieldSealEvent } from './events.js';
import type { ParsedFieldSealOptions } from './field-seal-options.js';
import { KmsIndexes } from './kms-indexes.js';
import { Pool } from './pool.js';
import type { Policy } from './policy.js';
import type { Delivery, SourceContext } from './ports.js';
import { checkPrivileges } from './privilege-check.js';
import { PublicKeyPool } from './public-key-pool.js';
import { ReadingKeys } from './reading-keys.js';
import { envelopeKeyMaker, sessionKeyMaker } from './record-key-makers.js';
import { RecordKeys } from './record-keys.js';
import { answerOf, CLOSE_LIMIT_MS, closesInTime } from './source-calls.js';

export interface ProcessKeysOptions extends ParsedFieldSealOptions {
  readonly emit: (event: FieldSealEvent) => void;
}

export class ProcessKeys {
  /** Of the purposes that are sealed under keys of a pool; none where nothing is sealed. */
  readonly pools: ReadonlyMap<string, Pool>;
  /** Public keys of the purposes of sealed delivery; none where nothing is sealed. */
  readonly publicPools: ReadonlyMap<string, PublicKeyPool>;
  /** Of the purposes whose cells carry their keys. */
  readonly writers: ReadonlyMap<string, RecordKeys>;
  /** Undefined in a write-only process, which loads no key to open or to index with. */
  readonly reading: ReadingKeys | undefined;
  readonly kmsIndexes: KmsIndexes;
  readonly #options: ProcessKeysOptions;
  #closing: Promise<void> | undefined;

  constructor(options: ProcessKeysOptions) {
    this.#options = options;
    this.pools = this.#forSealing('pool', (policy) => this.#pool(policy));
    this.publicPools = this.#forSealing('sealed', (policy) => this.#publicPool(policy));
    this.writers = new Map([
      ...this.#forSealing('envelope', (policy) => this.#envelopeWriter(policy)),
      ...this.#forSealing('sealed', (policy) => this.#sessionWriter(policy)),
    ]);
    this.kmsIndexes = new KmsIndexes(options);
    this.reading =
      options.access === 'write-only'
        ? undefined
        : new ReadingKeys(options, (purpose) => this.pools.get(purpose));
  }

  /**
   * Starts the source and warms pools and index keys of all purposes. When something fails, all is closed again.
   * @throws FieldSealError of the key source or of the keys it gave; KmsError `ERR_KMS_TOO_MUCH_PRIVILEGE`.
   */
  async start(): Promise<void> {
    const { clock, source, policies } = this.#options;
    try {
      await answerOf(clock, 'Start of the key source', () => source.start(this.#context()));
      if (this.reading === undefined) await checkPrivileges(this.#options);
      await Promise.all([
        ...this.#allPools.map((pool) => pool.refresh()),
        ...[...policies.values()].map((policy) => this.#warmIndexes(policy)),
      ]);
    } catch (error) {
      // The reason of the start is worth more than that of the close.
      await this.close().catch(() => undefined);
      throw error;
    }
  }

  /** Others than those who only write need not make an index, and may have no right to: readers, a key service. */
  #warmIndexes(policy: Policy): Promise<void> | undefined {
    if (policy.index.source !== 'kms') return this.reading?.indexKeys.warm(policy);
    return this.reading === undefined ? this.kmsIndexes.warm(policy) : undefined;
  }

  /** No timer runs and no key is held afterwards, except by pages that are on their way. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const pool of this.#allPools) pool.close();
    for (const writer of this.writers.values()) writer.close();
    this.reading?.close();
    const { clock, source, emit } = this.#options;
    const what = 'Close of the key source';
    if (await closesInTime(clock, what, () => source.close())) return;
    emit({
      type: 'warning',
      code: 'ERR_KEY_UNAVAILABLE',
      message: `${what}: expected its end within ${CLOSE_LIMIT_MS / 1_000} s, got none; whatever it has open was left to itself.`,
    });
  }

  /** What seals the purposes of this delivery, by purpose. */
  #forSealing<T>(delivery: Delivery, make: (policy: Policy) => T): ReadonlyMap<string, T> {
    const { access, policies } = this.#options;
    const sealed = access === 'read-only' ? [] : [...policies.values()];
    return new Map(
      sealed.filter((policy) => policy.delivery === delivery).map((policy) => [policy.purpose, make(policy)]),
    );
  }

  #pool(policy: Policy): Pool {
    const { application, clock, randomBelow, source, emit } = this.#options;
    const { purpose } = policy;
    return new Pool({
      ...{ owner: { application, purpose }, policy, clock, randomBelow, emit },
      handOut: (usage, exhausted) => source.handOut(purpose, usage, exhausted),
      retire: (held) => {
        if (this.reading === undefined) held.drop();
        else this.reading.held.keep('pool', held);
      },
    });
  }

  #publicPool(policy: Policy): PublicKeyPool {
    const { application, environment, clock, randomBelow, source, emit } = this.#options;
    const { purpose } = policy;
    return new PublicKeyPool({
      ...{ owner: { application, environment, purpose }, policy, clock, randomBelow, emit },
      handOut: () => source.publicKeys(purpose),
    });
  }

  #envelopeWriter(policy: Policy): RecordKeys {
    const { application, clock, source } = this.#options;
    const { purpose } = policy;
    const make = envelopeKeyMaker({ application, purpose }, clock, () => source.makeEnvelopeKey(purpose));
    return new RecordKeys({ policy, clock, make });
  }

  #sessionWriter(policy: Policy): RecordKeys {
    const { application, clock } = this.#options;
    const { purpose } = policy;
    const make = sessionKeyMaker({ application, purpose }, this.publicPools.get(purpose)!);
    return new RecordKeys({ policy, clock, make });
  }

  #context(): SourceContext {
    const { application, environment, access, policies, clock, randomBelow, emit } = this.#options;
    return {
      ...{ application, environment, access, policies, clock, randomBelow, emit },
      revoke: (fingerprints) => {
        this.#revoke(fingerprints);
      },
      held: (purpose) => this.#held(purpose),
    };
  }

  #revoke(fingerprints: readonly string[]): void {
    const revoked = [...this.#options.policies.keys()].flatMap((purpose) =>
      this.#held(purpose)
        .filter((fingerprint) => fingerprints.includes(fingerprint))
        .map((fingerprint) => ({ type: 'key-revoked', purpose, fingerprint }) as const),
    );
    this.reading?.revoke(fingerprints);
    for (const pool of this.#allPools) pool.revoke(fingerprints);
    for (const writer of this.writers.values()) writer.revoke(fingerprints);
    for (const event of revoked) this.#options.emit(event);
  }

  #held(purpose: string): readonly string[] {
    const pool = (this.pools.get(purpose) ?? this.publicPools.get(purpose))?.fingerprints ?? [];
    return [...new Set([...pool, ...(this.reading?.fingerprints(purpose) ?? [])])];
  }

  get #allPools(): readonly (Pool | PublicKeyPool)[] {
    return [...this.pools.values(), ...this.publicPools.values()];
  }
}
