/** All keys of this process: a pool and index keys per purpose, one keyring, and the key source behind them. */
import { IndexKeys } from './index-keys.js';
import { Keyring } from './keyring.js';
import type { FieldSealEvent } from './events.js';
import type { ParsedFieldSealOptions } from './field-seal-options.js';
import { Pool } from './pool.js';
import type { Policy } from './policy.js';
import type { SourceContext } from './ports.js';
import { answerOf } from './source-calls.js';

export interface ProcessKeysOptions extends ParsedFieldSealOptions {
  readonly emit: (event: FieldSealEvent) => void;
}

export class ProcessKeys {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly keyring: Keyring;
  readonly indexKeys: IndexKeys;
  readonly #options: ProcessKeysOptions;
  #closing: Promise<void> | undefined;

  constructor(options: ProcessKeysOptions) {
    const { application, environment, policies, source, clock, keyringMax } = options;
    this.#options = options;
    this.pools = new Map([...policies].map(([purpose, policy]) => [purpose, this.#pool(policy)]));
    this.keyring = new Keyring({
      ...{ application, environment, policies, clock, max: keyringMax },
      load: (purpose, fingerprints) => source.load(purpose, fingerprints),
      inPool: (purpose, fingerprint) => this.pools.get(purpose)?.find(fingerprint),
    });
    this.indexKeys = new IndexKeys({ application, clock, load: (purpose) => source.indexKeys(purpose) });
  }

  /**
   * Starts the source and warms pools and index keys of all purposes. When something fails, all is closed again.
   * @throws FieldSealError of the key source or of the keys it gave.
   */
  async start(): Promise<void> {
    const { clock, source, policies } = this.#options;
    try {
      await answerOf(clock, 'Start of the key source', () => source.start(this.#context()));
      await Promise.all(
        [...policies].flatMap(([purpose, policy]) => [
          this.pools.get(purpose)!.refresh(),
          this.indexKeys.warm(policy),
        ]),
      );
    } catch (error) {
      // The reason of the start is worth more than that of the close.
      await this.close().catch(() => undefined);
      throw error;
    }
  }

  /** No timer runs and no key is held afterwards, except by pages that are on their way. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const pool of this.pools.values()) pool.close();
    this.keyring.close();
    this.indexKeys.close();
    const { clock, source } = this.#options;
    await answerOf(clock, 'Close of the key source', () => source.close());
  }

  #pool(policy: Policy): Pool {
    const { application, clock, randomBelow, source, emit } = this.#options;
    const { purpose } = policy;
    return new Pool({
      ...{ owner: { application, purpose }, policy, clock, randomBelow, emit },
      handOut: (usage) => source.handOut(purpose, usage),
      retire: (held) => {
        this.keyring.keep(held);
      },
    });
  }

  #context(): SourceContext {
    const { application, environment, policies, clock, randomBelow, emit } = this.#options;
    return {
      ...{ application, environment, policies, clock, randomBelow, emit },
      revoke: (fingerprints) => {
        this.#revoke(fingerprints);
      },
      held: (purpose) => this.#held(purpose),
    };
  }

  #revoke(fingerprints: readonly string[]): void {
    const revoked = [...this.pools.keys()].flatMap((purpose) =>
      this.#held(purpose)
        .filter((fingerprint) => fingerprints.includes(fingerprint))
        .map((fingerprint) => ({ type: 'key-revoked', purpose, fingerprint }) as const),
    );
    this.keyring.revoke(fingerprints);
    this.indexKeys.revoke(fingerprints);
    for (const pool of this.pools.values()) pool.revoke(fingerprints);
    for (const event of revoked) this.#options.emit(event);
  }

  #held(purpose: string): readonly string[] {
    const pool = this.pools.get(purpose)?.fingerprints ?? [];
    return [
      ...new Set([...pool, ...this.keyring.fingerprints(purpose), ...this.indexKeys.fingerprints(purpose)]),
    ];
  }
}
