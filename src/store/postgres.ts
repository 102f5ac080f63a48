/** A key store on PostgreSQL. */
import { StoreError } from '../errors.js';
import {
  duration,
  group,
  optional,
  parseOptions,
  type ParsedOptions,
  secret,
  text,
  withDefault,
} from '../keys/options.js';
import type { Duration } from '../keys/policy.js';
import type {
  ChannelState,
  KeyEvent,
  KeyFilter,
  KeyMoment,
  KeyRecord,
  KeyScope,
  KeyStore,
  KeyStoreUse,
  LockedKeyStore,
} from '../keys/ports.js';
import { CONNECTION_RULES, Connections, type ConnectionOptions } from './connections.js';
import { assertMayManage } from './grants.js';
import { atOneMoment } from './postgres-moment.js';
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
  /** How a process hears of keys that were stopped. */
  readonly watch?: WatchOptions;
}

/** Options of the connection that listens for revocations. */
export interface WatchOptions {
  /**
   * A direct connection to the same database for LISTEN alone, where the others go through a pooler in transaction mode,
   * which delivers no notification, or to a hot standby, which takes no LISTEN. Default: made as the others.
   */
  readonly connectionString?: string;
  /**
   * How often the states of all keys that the process holds are looked up while no notification comes through: one query
   * a purpose. Default `'15s'`, at least 100 ms.
   */
  readonly pollEvery?: Duration;
}

const RULES = {
  ...CONNECTION_RULES,
  schema: schemaRule,
  lockTimeout: withDefault(duration(1), 30_000),
  watch: group({
    connectionString: secret(optional(text('a PostgreSQL connection string'))),
    pollEvery: withDefault(duration(100), 15_000),
  }),
};

type Settings = Pick<ParsedOptions<typeof RULES>, 'schema' | 'lockTimeout' | 'watch'>;

/**
 * The key store in a PostgreSQL database, best another one than that of the rows it protects (PCI DSS 3.6.1.2). Opens
 * nothing before `start`, never creates tables: `migrateKeyStore` and `fieldseal store migrate` do. An open store does
 * not keep the process alive. Works through a pooler in transaction mode; see {@link WatchOptions} for what that costs.
 * @throws ConfigError `ERR_CONFIG_OPTION`; from its first use `ERR_CONFIG_PEER_MISSING`, `ERR_CONFIG_PEER_FAILED`.
 */
export function postgresKeyStore(options: PostgresKeyStoreOptions): KeyStore {
  const { schema, lockTimeout, watch, ...connectionOptions } = parseOptions(
    RULES,
    options,
    'postgresKeyStore',
  );
  const connections = new Connections(connectionOptions, 'postgresKeyStore');
  return new PostgresKeyStore(connections, { schema, lockTimeout, watch });
}

class PostgresKeyStore implements KeyStore {
  readonly #connections: Connections;
  readonly #schema: string;
  readonly #lockTimeoutMs: number;
  readonly #watchSettings: Settings['watch'];
  readonly #rows: PostgresRows;
  readonly #watches = new Set<RevocationWatch>();
  #closing: Promise<void> | undefined;

  constructor(connections: Connections, { schema, lockTimeout, watch }: Settings) {
    this.#connections = connections;
    this.#schema = schema;
    this.#lockTimeoutMs = lockTimeout;
    this.#watchSettings = watch;
    this.#rows = new PostgresRows(schema, async (what, sql, values) => {
      this.#assertOpen();
      return connections.use(what, (client) => connections.query(client, what, sql, values));
    });
  }

  async start(use?: KeyStoreUse): Promise<void> {
    this.#assertOpen();
    const connections = this.#connections;
    connections.begin(use ?? 'manage');
    await connections.use('starting', async (client) => {
      assertUsable(this.#schema, await loadSchemaVersion(connections, client, this.#schema));
      if (use === 'manage') await assertMayManage(connections, client, this.#schema);
    });
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

  async atOneMoment<T>(work: (moment: KeyMoment) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return atOneMoment(this.#connections, this.#schema, work);
  }

  async withLock<T>(scope: KeyScope, work: (locked: LockedKeyStore) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return withPostgresLock(this.#connections, this.#schema, this.#lockTimeoutMs, scope, work);
  }

  async watch(
    listener: (fingerprints: readonly string[] | 'unknown') => void,
    onChannel: (state: ChannelState) => void = () => undefined,
  ): Promise<() => Promise<void>> {
    this.#assertOpen();
    const { connectionString, pollEvery } = this.#watchSettings;
    const watch = new RevocationWatch({
      channel: revocationChannel(this.#schema),
      newClient: () => this.#connections.newClient(connectionString),
      patiently: (connect) => this.#connections.patiently(connect),
      notify: (channel, payload, limitMs) => this.#notify(channel, payload, limitMs),
      pollEveryMs: pollEvery,
      listener,
      onChannel,
    });
    this.#watches.add(watch);
    const stop = async (): Promise<void> => {
      await watch.stop();
      this.#watches.delete(watch);
    };
    try {
      await watch.start();
    } catch (error) {
      await stop();
      throw error;
    }
    return stop;
  }

  close(onCutOff?: (what: string) => void): Promise<void> {
    this.#closing ??= this.#end(onCutOff);
    return this.#closing;
  }

  async #end(onCutOff: (what: string) => void = () => undefined): Promise<void> {
    const stopping = Promise.all([...this.#watches].map((watch) => watch.stop()));
    const [stopped, connections] = await Promise.all([stopping, this.#connections.end()]);
    if (stopped.includes(false)) onCutOff('the connection that listens for revocations');
    if (connections > 0) onCutOff(`${connections} of its connections to the database`);
  }

  #notify(channel: string, payload: string, limitMs: number): Promise<boolean> {
    const what = 'proving that revocations come through';
    const sql = `SELECT CASE WHEN pg_is_in_recovery() THEN 'copy' ELSE pg_notify($1, $2)::text END AS sent`;
    return this.#connections.use(what, async (client) => {
      const { rows } = await this.#connections.queryFor(limitMs, client, what, sql, [channel, payload]);
      return rows[0]?.sent !== 'copy';
    });
  }

  #assertOpen(): void {
    if (this.#closing) throw new StoreError('ERR_STORE_CLOSED', 'The key store is closed; open a new one.');
  }
}
