/** Connections to PostgreSQL: a pool of the caller's or one of our own, loaded from the optional peer `pg`. */
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import type * as Pg from 'pg';
import { StoreError } from '../errors.js';
import {
  describeValue,
  duration,
  objectWith,
  optional,
  optionError,
  type ParsedOptions,
  secret,
  text,
  wholeNumber,
  withDefault,
} from '../keys/options.js';
import { loadPeer } from '../keys/peer.js';
import type { Duration } from '../keys/policy.js';
import type { KeyStoreUse } from '../keys/ports.js';
import { cutOff, GOODBYE_MS, settlesWithin } from './ending.js';
import { isPassing, storeError } from './postgres-errors.js';

/** One statement with its parameters, as `pg` takes it. */
export interface PgQuery {
  readonly text: string;
  readonly values?: unknown[];
  /** Milliseconds after which the client gives the statement up. */
  readonly query_timeout?: number;
}

export interface PgResult {
  readonly rows: unknown[];
  readonly rowCount: number | null;
}

/** What the store calls on a `pg` client. */
export interface PgClient {
  query(query: PgQuery): Promise<PgResult>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

export interface PgPoolClient extends PgClient {
  /** `true` ends the connection instead of giving it back. */
  release(end?: boolean): void;
}

/** A client outside any pool, for LISTEN. */
export interface PgOwnClient extends PgClient {
  connect(): Promise<unknown>;
  end(): Promise<void>;
  ref(): void;
  unref(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'notification', listener: (message: Notification) => void): unknown;
  /** Of the backend, as the server said when the connection began. */
  readonly processID?: number | null;
}

export interface Notification {
  readonly channel: string;
  readonly payload?: string | undefined;
}

/** What the store needs of a `pg.Pool`. */
export interface PgPool {
  connect(): Promise<PgPoolClient>;
  /** Connection settings; a client of its own is made from them for LISTEN. */
  readonly options: object;
}

/** How to reach the database: exactly one of `connectionString` and `pool`. */
export interface ConnectionOptions {
  /** `postgres://user:password@host:port/database`. A pool is opened with it, and closed with the store. */
  readonly connectionString?: string;
  /**
   * A `pg.Pool`, which stays the caller's: it is not closed, and its errors are the caller's to listen to. Better none
   * that the application's transactions use: one that needs a key while it holds the last connection fails after
   * `connectTimeout`.
   */
  readonly pool?: PgPool;
  /**
   * Most connections of the store's own pool, besides one that listens for revocations. Default 3, at least 1; for a
   * process that only reads (`manage: false`) 1. N processes take up to N × (max + 1).
   */
  readonly max?: number;
  /** How long to wait for a connection. Default `'5s'`. */
  readonly connectTimeout?: Duration;
  /** How long one statement may take before its connection is given up. Default `'10s'`. */
  readonly statementTimeout?: Duration;
}

export const CONNECTION_RULES = {
  connectionString: secret(optional(text('a PostgreSQL connection string'))),
  pool: optional(objectWith<PgPool>('a pg.Pool', ['connect'])),
  max: optional(wholeNumber(1, 1_000)),
  connectTimeout: withDefault(duration(1), 5_000),
  statementTimeout: withDefault(duration(1), 10_000),
};

/** Who reads asks for one thing at a time; who manages has a lock to hold while others read. */
const MOST_CONNECTIONS: Readonly<Record<KeyStoreUse, number>> = { manage: 3, read: 1 };

/** How long a start waits for connections that other processes, which start as well, give back. */
const START_PATIENCE_MS = 30_000;
const SHORTEST_WAIT_MS = 100;

type ParsedConnectionOptions = ParsedOptions<typeof CONNECTION_RULES>;

interface OpenPool {
  readonly pool: PgPool;
  /** Made as the connections of the pool are, or to another address. */
  readonly newClient: (connectionString?: string) => Promise<PgOwnClient>;
  /** Resolves when all connections are given back. */
  readonly end: () => Promise<void>;
  /** Connections of this pool that have not ended. */
  readonly clients: ReadonlySet<object>;
}

/** Connections, opened at the first use. Every error of the database comes out as a StoreError. */
export class Connections {
  readonly #options: ParsedConnectionOptions;
  #opened: Promise<OpenPool> | undefined;
  #use: KeyStoreUse = 'manage';
  /** Monotonic, ms: until then a server that has no connection left, or is not ready, is asked again. */
  #patientUntil = 0;

  /** @throws ConfigError `ERR_CONFIG_OPTION` unless there is exactly one of `connectionString` and `pool`. */
  constructor(options: ParsedConnectionOptions, path: string) {
    const given = [options.connectionString, options.pool].filter((option) => option !== undefined);
    if (given.length !== 1) {
      throw optionError(path, 'either connectionString or pool', given.length === 0 ? 'neither' : 'both');
    }
    this.#options = options;
  }

  /** A process starts, mostly with others at the same time. */
  begin(use: KeyStoreUse): void {
    this.#use = use;
    this.#patientUntil = performance.now() + START_PATIENCE_MS;
  }

  /**
   * Connects, and for a while after the start once more where that may well help.
   * @throws StoreError.
   */
  async patiently<T>(connect: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await connect();
      } catch (error) {
        if (!isPassing(error) || performance.now() > this.#patientUntil) throw error;
        await setTimeout(SHORTEST_WAIT_MS * (1 + 4 * Math.random()));
      }
    }
  }

  /** Runs `work` with a connection of its own, which is ended instead of given back when the work throws. */
  async use<T>(what: string, work: (client: PgClient) => Promise<T>): Promise<T> {
    const client = await this.#checkOut(what);
    // A checked-out client without a listener would end the process when its connection breaks; the statement under
    // way, or the next one, fails with the same error.
    client.on('error', ignore);
    let broken = true;
    try {
      const result = await work(client);
      broken = false;
      return result;
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  }

  /** Runs one statement. Its select list must cast to text, so that no type parser set in this process applies. */
  query(client: PgClient, what: string, sql: string, values: readonly unknown[] = []): Promise<TextResult> {
    return this.queryFor(this.#options.statementTimeout, client, what, sql, values);
  }

  /** As `query`, with a time limit of its own. */
  async queryFor(
    timeoutMs: number,
    client: PgClient,
    what: string,
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<TextResult> {
    const query = { text: sql, values: [...values], query_timeout: timeoutMs };
    let timer: NodeJS.Timeout | undefined;
    // Older versions of pg know no time limit of a single statement.
    const tooLate = new Promise<never>((_, reject) => {
      timer = globalThis.setTimeout(() => {
        reject(new Error('Query read timeout'));
      }, timeoutMs + 50);
    });
    const result = client.query(query);
    result.catch(() => undefined);
    try {
      return (await Promise.race([result, tooLate])) as TextResult;
    } catch (error) {
      throw storeError(error, what);
    } finally {
      clearTimeout(timer);
    }
  }

  get statementTimeoutMs(): number {
    return this.#options.statementTimeout;
  }

  /** A client that is not connected yet and belongs to no pool. */
  async newClient(connectionString?: string): Promise<PgOwnClient> {
    const { newClient } = await this.#open();
    return newClient(connectionString);
  }

  /**
   * Ends the own pool once its connections are given back; leaves the caller's alone. Connections that are still in use
   * after `GOODBYE_MS`, or whose server does not answer, are cut off. Resolves with their number.
   */
  async end(): Promise<number> {
    // What could not be opened needs no end.
    const opened = await this.#opened?.catch(() => undefined);
    if (opened === undefined) return 0;
    const { clients, end } = opened;
    const ended = end().then(() => allEnded(clients));
    if (await settlesWithin(GOODBYE_MS, ended)) return 0;
    const left = [...clients];
    for (const client of left) cutOff(client);
    return left.length;
  }

  async #checkOut(what: string): Promise<PgPoolClient> {
    const { pool } = await this.#open();
    try {
      return await this.patiently(() => connectWithin(this.#options.connectTimeout, pool, what));
    } catch (error) {
      throw storeError(error, what);
    }
  }

  #open(): Promise<OpenPool> {
    const { pool } = this.#options;
    this.#opened ??=
      pool === undefined
        ? openOwnPool(this.#options, MOST_CONNECTIONS[this.#use])
        : borrowPool(this.#options, pool);
    return this.#opened;
  }
}

/** A result whose values are text or null. */
export interface TextResult {
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  readonly rowCount: number | null;
}

/**
 * A pool of the caller's may let its clients wait for ever, and who waits may be the transaction that holds its last
 * connection and needs a key to go on.
 */
async function connectWithin(limitMs: number, pool: PgPool, what: string): Promise<PgPoolClient> {
  const connecting = pool.connect();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = globalThis.setTimeout(() => {
      // Nobody waits for it any more.
      connecting.then((late) => late.release()).catch(() => undefined);
      reject(noConnection(limitMs, what));
    }, limitMs);
  });
  try {
    return await Promise.race([connecting, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

function noConnection(limitMs: number, what: string): StoreError {
  return new StoreError(
    'ERR_STORE_UNAVAILABLE',
    `Key store, ${what}: expected a connection of its pool within ${limitMs} ms, got none. A transaction that holds the ` +
      'last connection of a pool cannot wait for a key through the same pool: give the key store a connectionString ' +
      'or a pool of its own.',
  );
}

function ignore(): void {
  // See use().
}

async function openOwnPool(options: ParsedConnectionOptions, most: number): Promise<OpenPool> {
  const pg = await loadPg('connectionString');
  const settings = connectionSettings(options, options.connectionString);
  assertReadable(pg, settings, 'connectionString');
  const pool = new pg.Pool({
    ...settings,
    max: options.max ?? most,
    // One stays, for the heartbeats of a watch; the others are given back soon to whoever starts.
    min: 1,
    idleTimeoutMillis: 2_000,
    // An open store does not keep a process alive that has nothing else to do.
    allowExitOnIdle: true,
  });
  // An idle connection that breaks is replaced at the next use.
  pool.on('error', ignore);
  const clients = new Set<Pg.PoolClient>();
  pool.on('connect', (client) => {
    clients.add(client);
    client.once('end', () => clients.delete(client));
  });
  return {
    pool,
    newClient: (connectionString) => Promise.resolve(clientFor(options, pg, settings, connectionString)),
    end: () => pool.end(),
    clients,
  };
}

/** A pool says that it has ended before its connections have. */
async function allEnded(clients: ReadonlySet<object>): Promise<void> {
  const ends = [...clients].map((client) => once(client as NodeJS.EventEmitter, 'end'));
  await Promise.all(ends);
}

function borrowPool(options: ParsedConnectionOptions, pool: PgPool): Promise<OpenPool> {
  return Promise.resolve({
    pool,
    newClient: async (connectionString) =>
      clientFor(options, await loadPg('pool'), pool.options, connectionString),
    end: () => Promise.resolve(),
    clients: new Set(),
  });
}

function clientFor(
  options: ParsedConnectionOptions,
  pg: typeof Pg,
  ofPool: object,
  connectionString: string | undefined,
): PgOwnClient {
  if (connectionString === undefined) return ownClient(pg, ofPool);
  const settings = connectionSettings(options, connectionString);
  assertReadable(pg, settings, 'watch.connectionString');
  return ownClient(pg, settings);
}

function connectionSettings(
  { connectTimeout }: ParsedConnectionOptions,
  connectionString: string | undefined,
) {
  return {
    connectionString,
    connectionTimeoutMillis: connectTimeout,
    keepAlive: true,
    application_name: 'fieldseal',
  };
}

/** pg throws an error that repeats the connection string, and only once it connects. */
function assertReadable(
  pg: typeof Pg,
  settings: { readonly connectionString: string | undefined },
  option: string,
): void {
  try {
    new pg.Client(settings);
  } catch {
    const expected = 'a connection string such as postgres://user:password@host:5432/database';
    throw optionError(option, expected, describeValue(settings.connectionString));
  }
}

/** `ref` and `unref` are there since pg 6, but not in the types. */
function ownClient(pg: typeof Pg, settings: object): PgOwnClient {
  return new pg.Client(settings) as Pg.Client & {
    ref(): void;
    unref(): void;
    readonly processID?: number | null;
  };
}

function loadPg(option: string): Promise<typeof Pg> {
  return loadPeer('pg', () => import('pg'), `postgresKeyStore: ${option}`);
}
