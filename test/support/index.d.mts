export interface PostgresOptions {
  /** File that the server's log is appended to. Default: in the temporary folder, removed with it. */
  readonly log?: string;
  /** Whether the server forces its writes to disk. Default false; tests that crash the machine's disk cache need true. */
  readonly fsync?: boolean;
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Settings of the server, such as `max_connections`, which is 200 by default. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export interface PostgresServer {
  /** Superuser `postgres`, database `postgres`, a random password. */
  readonly url: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** Process number of the postmaster; undefined while no server runs. */
  readonly pid: number | undefined;
  /** Ends the server at once and removes everything. May be called again. */
  stop(): Promise<void>;
  /** Kills every process of the server with SIGKILL and waits until it is gone. */
  kill9(): Promise<void>;
  /** A hot standby that follows this server by streaming. The server is restarted for it; a standby ends by itself. */
  standby(): Promise<PostgresServer>;
  /** Stops every process of the server with SIGSTOP: connections stay, nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Ends the server in order where it runs (open transactions are rolled back), and starts it on the same port and data. */
  restart(): Promise<void>;
}

/**
 * Starts a PostgreSQL server, in about a second. It ends with this process, however that ends, and never touches its
 * exit code. As root it runs as the OS user `postgres` or another unprivileged one.
 */
export function startPostgres(options?: PostgresOptions): Promise<PostgresServer>;

/**
 * Starts the PgBouncer that is installed on this machine in front of a PostgreSQL server, with all its databases, for the
 * user of the connection string. It ends with this process, however that ends.
 * @param options.url Of the server.
 * @param options.poolMode Default `'transaction'`.
 */
export function startPgbouncer(options: {
  readonly url: string;
  readonly poolMode?: 'transaction' | 'session';
}): Promise<{ readonly url: string; stop(): Promise<void> }>;

/** Path of the program, or undefined where PgBouncer is not installed. */
export function findPgbouncer(): string | undefined;

export interface MariadbServer {
  /** A user with all rights on every database, a random password. */
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number | undefined;
  /** Ends the server and removes everything. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a MariaDB server with the programs that are installed on this machine, in about two seconds. It ends with this
 * process, however that ends. As root it runs as an unprivileged OS user.
 * @param options.log File that gets a copy of the general log, which has every statement, when the server is stopped.
 */
export function startMariadb(options?: { readonly log?: string }): Promise<MariadbServer>;

/** Paths of the programs of MariaDB, or undefined where it is not installed. */
export function findMariadb(): { readonly mariadbd: string; readonly install: string } | undefined;

/** Whether `startTestMariadb` can work: TEST_MARIADB_URL is set, or MariaDB is installed. */
export function hasTestMariadb(): boolean;

/** The MariaDB server for tests: TEST_MARIADB_URL, else one of our own. Prints which. */
export function startTestMariadb(options?: {
  readonly log?: string;
}): Promise<{ readonly url: string; stop(): Promise<void> }>;

export interface TestDatabase {
  readonly kind: 'TEST_DATABASE_URL' | 'testcontainers' | 'embedded';
  /** A role that may create databases and roles. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * The database server for tests: TEST_DATABASE_URL, else a container, else an embedded one. Prints which.
 * @param options.log File for the log of an embedded server.
 */
export function startTestDatabase(options?: { readonly log?: string }): Promise<TestDatabase>;

/**
 * Compiles a TypeScript file with all it imports, packages excepted, into one file that plain node runs; takes about
 * 0.3 s. Packages are looked up from `folder`, by default `.cache/scripts` of the repository.
 */
export function bundleScript(
  file: string,
  options?: { readonly folder?: string },
): Promise<{ readonly file: string; remove(): void }>;

export interface ScriptEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningScript {
  readonly pid: number;
  /** Settles when the process has ended and its output is read. Never rejects. */
  readonly ended: Promise<ScriptEnd>;
  /** Writes one line to its standard input. */
  send(line: string): void;
  /** Default SIGKILL. */
  kill(signal?: NodeJS.Signals): void;
  /** The first line of its output that starts so, printed already or to come; rejects when it ends without. */
  line(start: string): Promise<string>;
}

/** Runs a file that node understands. */
export function startScript(
  file: string,
  args?: readonly string[],
  options?: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string },
): RunningScript;

/**
 * Plaintexts that tests seal and never show themselves: the scan at the end of a run looks for them in everything that
 * was printed or logged. Values that begin with one of them are found as well.
 */
export const CANARY_TEXTS: readonly string[];

/**
 * Every form in which something might show bytes, as texts of one character a byte ('latin1'): themselves, UTF-16,
 * hex, Base64 at any offset, lists of numbers, escaped for JSON and URLs.
 */
export function formsOf(bytes: Buffer): readonly string[];

/** Those of the canaries that stand in a text (latin1) in any of their forms; a second for ten megabytes. */
export function canariesIn(text: string, canaries: readonly Buffer[]): Buffer[];
