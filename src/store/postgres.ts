/** A key store on PostgreSQL. */
import { StoreError } from '../errors.js';
import { duration, parseOptions, withDefault } from '../keys/options.js';
import type { Duration } from '../keys/policy.js';
import type { KeyEvent, KeyFilter, KeyRecord, KeyScope, KeyStore, LockedKeyStore } from '../keys/ports.js';
import { CONNECTION_RULES, Connections, type ConnectionOptions } from './connections.js';
import { withPostgresLock } from './postgres-lock.js';
import { PostgresRows } from './postgres-rows.js';
import { RevocationWatch } from './postgres-watch.js';
import { revocationChannel, schemaRule } from './schema.js';
import { assertUsable, loadSchemaVersion } from './schema-version.js';

export { storeGrants, type StoreGrantsOptions } from './grants.js';
export { migrateKeyStore, printMigrations, type MigrateOptions, type MigrateResult } from './migrate.js';
export type { ConnectionOptions, PgPool } from './connections.js';

/** Options of {@link postgresKeyStore}. */
export interface PostgresKeyStoreOptions extends ConnectionOptions {
  /** Schema of the tables. Default `'fieldseal'`. */
  readonly schema?: string;
  /** How long to wait for another process that holds the lock of a purpose. Default `'30s'`. */
  readonly lockTimeout?: Duration;
}

const RULES = { ...CONNECTION_RULES, schema: schemaRule, lockTimeout: withDefault(duration(1), 30_000) };

/**
 * The key store in a PostgreSQL database, best another one than that of the rows it protects (PCI DSS 3.6.1.2). Opens
 * nothing before `start`, never creates tables: `migrateKeyStore` and `fieldseal store migrate` do. An open store does
 * not keep the process alive. LISTEN does not pass through a pooler in transaction mode: give it a direct connection.
 * @throws ConfigError `ERR_CONFIG_OPTION`; from its first use `ERR_CONFIG_PEER_MISSING`, `ERR_CONFIG_PEER_FAILED`.
 */
export function postgresKeyStore(options: PostgresKeyStoreOptions): KeyStore {
  const { schema, lockTimeout, ...connectionOptions } = parseOptions(RULES, options, 'postgresKeyStore');
  return new PostgresKeyStore(new Connections(connectionOptions, 'postgresKeyStore'), schema, lockTimeout);
}

class PostgresKeyStore implements KeyStore {
  readonly #connections: Connections;
  readonly #schema: string;
  readonly #lockTimeoutMs: number;
  readonly #rows: PostgresRows;
  readonly #watches = new Set<RevocationWatch>();
  #closing: Promise<void> | undefined;

  constructor(connections: Connections, schema: string, lockTimeoutMs: number) {
    this.#connections = connections;
    this.#schema = schema;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#rows = new PostgresRows(schema, async (what, sql, values) => {
      this.#assertOpen();
      return connections.use(what, (client) => connections.query(client, what, sql, values));
    });
  }

  async start(): Promise<void> {
    this.#assertOpen();
    const load = this.#connections.use('starting', (client) =>
      loadSchemaVersion(this.#connections, client, this.#schema),
    );
    assertUsable(this.#schema, await load);
  }

  list(scope: KeyScope, filter?: KeyFilter): Promise<KeyRecord[]> {
    return this.#rows.list(scope, filter);
  }

  async find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    this.#assertOpen();
    return this.#rows.find(scope, fingerprints);
  }

  events(scope: KeyScope, fromSeq?: number): Promise<KeyEvent[]> {
    return this.#rows.events(scope, fromSeq);
  }

  lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    return this.#rows.lastEvent(scope);
  }

  now(): Promise<number> {
    return this.#rows.now();
  }

  async withLock<T>(scope: KeyScope, work: (locked: LockedKeyStore) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return withPostgresLock(this.#connections, this.#schema, this.#lockTimeoutMs, scope, work);
  }

  async watch(listener: (fingerprints: readonly string[] | 'unknown') => void): Promise<() => Promise<void>> {
    this.#assertOpen();
    const watch = new RevocationWatch(
      () => this.#connections.newClient(),
      revocationChannel(this.#schema),
      listener,
    );
    this.#watches.add(watch);
    const stop = async (): Promise<void> => {
      this.#watches.delete(watch);
      await watch.stop();
    };
    try {
      await watch.start();
    } catch (error) {
      await stop();
      throw error;
    }
    return stop;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch.stop()));
    await this.#connections.end();
  }

  #assertOpen(): void {
    if (this.#closing) throw new StoreError('ERR_STORE_CLOSED', 'The key store is closed; open a new one.');
  }
}
