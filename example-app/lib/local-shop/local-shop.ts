/**
 * The whole shop on this machine: PostgreSQL and a KMS with the rights of each tier, and the tiers as processes. For
 * demo, tests and a look around; in production a platform does this.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres, type PostgresServer } from '@fieldseal/test-support';
import type { KmsEmulator } from 'fieldseal/testing';
import type { CardDelivery } from '../../config/purposes.js';
import { createKeyStore, type LocalKeyStore } from './local-key-store.js';
import { createDatabases, grantRights, migrate, type LocalDatabases } from './local-databases.js';
import { kekArns, kmsEnvironment, putKeyPolicies, startLocalKms } from './local-kms.js';
import { printedPolicies } from './printed-policies.js';
import { startTier, type TierProcess } from './tier-process.js';

export interface LocalShopOptions {
  /** Folder of the compiled application. Default: the one this module lies in. */
  readonly compiled?: string;
  /** How card numbers get to their keys. Default `'envelope'`. */
  readonly cardDelivery?: CardDelivery;
  /** File for the log of PostgreSQL. Default: one that goes with the server. */
  readonly postgresLog?: string;
  /** Of the web tier. Default: any free one. */
  readonly port?: number;
  /** Is told every data key that the KMS hands out. For tests that look for them. */
  readonly unsafeOnDataKey?: (bytes: Buffer) => void;
  /** Is told each line that a tier writes. */
  readonly onLine?: (tier: TierName, line: string) => void;
}

export type TierName = 'web' | 'payment' | 'keys';

/** The web tier and the address that it listens at. */
export type WebProcess = TierProcess & { readonly url: string };

export interface StartedTiers {
  readonly web: WebProcess;
  readonly payment: TierProcess;
  /** Where there is a key store. */
  readonly keys: TierProcess | undefined;
}

const CARD_DELIVERY: CardDelivery = 'envelope';
const COMPILED = fileURLToPath(new URL('../..', import.meta.url));

export class LocalShop {
  readonly postgres: PostgresServer;
  readonly kms: KmsEmulator;
  readonly databases: LocalDatabases;
  /** Where cards are sealed to key pairs. */
  readonly keyStore: LocalKeyStore | undefined;
  /** Of the KEKs by purpose, as JSON. */
  readonly arns: string;
  readonly cardDelivery: CardDelivery;
  readonly #options: LocalShopOptions;
  readonly #tiers: TierProcess[] = [];
  #stopping: Promise<void> | undefined;

  /**
   * PostgreSQL and KMS, ready for the tiers. The KMS first: it refuses to run in production. One after the other, so that
   * nothing is still at work on what is stopped after an error.
   */
  static async start(options: LocalShopOptions = {}): Promise<LocalShop> {
    const { cardDelivery = CARD_DELIVERY } = options;
    const kms = await startLocalKms(options.unsafeOnDataKey);
    let postgres: PostgresServer | undefined;
    try {
      const arns = JSON.stringify(await kekArns(kms));
      const { keyPolicies, grants, keyStoreGrants } = await printedPolicies(
        path.join(options.compiled ?? COMPILED, 'fieldseal.config.js'),
        { CARD_DELIVERY: cardDelivery, KEK_ARNS: arns },
      );
      await putKeyPolicies(kms, keyPolicies);
      const { postgresLog: log } = options;
      postgres = await startPostgres({ ...(log !== undefined && { log }) });
      const databases = await createDatabases(postgres);
      await migrate(databases.admin);
      await grantRights(databases.admin, grants);
      const keyStore =
        cardDelivery === 'sealed' ? await createKeyStore(databases, keyStoreGrants) : undefined;
      return new LocalShop(options, { postgres, kms, databases, keyStore, arns, cardDelivery });
    } catch (error) {
      await Promise.all([kms.close(), postgres?.stop()]);
      throw error;
    }
  }

  private constructor(
    options: LocalShopOptions,
    parts: Pick<LocalShop, 'postgres' | 'kms' | 'databases' | 'keyStore' | 'arns' | 'cardDelivery'>,
  ) {
    this.#options = options;
    this.postgres = parts.postgres;
    this.kms = parts.kms;
    this.databases = parts.databases;
    this.keyStore = parts.keyStore;
    this.arns = parts.arns;
    this.cardDelivery = parts.cardDelivery;
  }

  /** Everything that the tiers wrote, those that have ended included. */
  outputs(): readonly string[] {
    return this.#tiers.map((tier) => tier.output());
  }

  /** All that there are. The key tier first: without its list the web tier does not start. */
  async startTiers(): Promise<StartedTiers> {
    const keys = this.keyStore && (await this.startKeys());
    const [web, payment] = await Promise.all([this.startWeb(), this.startPayment()]);
    return { web, payment, keys };
  }

  async startWeb(env: Readonly<Record<string, string>> = {}): Promise<WebProcess> {
    const web = await this.#start('web', {
      DATABASE_URL: this.databases.web,
      COOKIE_SECRET: randomBytes(32).toString('hex'),
      PORT: String(this.#options.port ?? 0),
      ...env,
    });
    const { url } = await web.ready();
    return Object.assign(web, { url: url! });
  }

  startPayment(env: Readonly<Record<string, string>> = {}): Promise<TierProcess> {
    return this.#start('payment', {
      DATABASE_URL: this.databases.payment,
      ACQUIRER_URL: this.databases.acquirer,
      KEK_ARNS: this.arns,
      CHARGE_CRON: '*/2 * * * * *',
      ...env,
    });
  }

  startKeys(env: Readonly<Record<string, string>> = {}): Promise<TierProcess> {
    return this.#start('keys', env);
  }

  /** Ends everything; the tiers in order. May be called again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#tiers.map((tier) => tier.stop()));
    await Promise.all([this.kms.close(), this.postgres.stop()]);
  }

  async #start(name: TierName, env: Readonly<Record<string, string>>): Promise<TierProcess> {
    const { onLine, compiled = COMPILED } = this.#options;
    if (this.#stopping !== undefined) throw new Error('The shop is being stopped.');
    const tier = startTier({
      program: path.join(compiled, 'bin', `${name}.js`),
      env: {
        ...kmsEnvironment(this.kms, name),
        CARD_DELIVERY: this.cardDelivery,
        ...this.keyStore?.environment[name],
        ...env,
      },
      ...(onLine && { onLine: (line: string) => onLine(name, line) }),
    });
    this.#tiers.push(tier);
    await tier.ready();
    return tier;
  }
}
