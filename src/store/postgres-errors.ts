/** Errors of PostgreSQL and of the way to it, as StoreErrors. */
import { isFieldSealError, StoreError, type FieldSealError } from '../errors.js';

type StoreErrorCode =
  'ERR_STORE_UNAVAILABLE' | 'ERR_STORE_DENIED' | 'ERR_STORE_NOT_MIGRATED' | 'ERR_STORE_ROW';

interface Meaning {
  readonly code: StoreErrorCode;
  readonly advice: string;
}

/** The command that creates and updates the tables. */
export const MIGRATE_COMMAND = 'fieldseal store migrate';

const denied: Meaning = {
  code: 'ERR_STORE_DENIED',
  advice: 'the database role lacks a right: compare its grants with those that storeGrants() prints',
};
const login: Meaning = {
  code: 'ERR_STORE_DENIED',
  advice: 'the database refused the log-in: check user and password',
};
const notMigrated: Meaning = {
  code: 'ERR_STORE_NOT_MIGRATED',
  advice: `the tables of the key store are missing or older than this package: run "${MIGRATE_COMMAND}"`,
};
const noDatabase: Meaning = {
  code: 'ERR_STORE_NOT_MIGRATED',
  advice: `the database does not exist: create it, then run "${MIGRATE_COMMAND}"`,
};
const refused: Meaning = {
  code: 'ERR_STORE_ROW',
  advice: 'the database refused a value or a row; nothing was written',
};
const onlyRead: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice:
    'the database only reads: it is a hot standby, or was set so. Connect processes that make keys (manage: true) to ' +
    'the primary; a process that only reads (manage: false) may start here',
};
const tooManyConnections: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice:
    'too many connections: N processes take up to N × (max + 1) of them, their pools and the ones that listen; raise ' +
    'max_connections, lower max, or put a pooler in front',
};
const outOfResources: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice: 'the database has run out of memory, disk or another resource: see its log',
};
const notReady: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice: 'the database is starting or shutting down',
};
const locked: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice: 'another process held the lock for longer than lockTimeout',
};
const unavailable: Meaning = {
  code: 'ERR_STORE_UNAVAILABLE',
  advice: 'the database is out of reach or did not answer in time',
};

/**
 * SQLSTATEs (PostgreSQL manual, appendix A) by code, then by class (the first two characters). All others, errors of
 * the network and of `pg` among them, say that the database is out of reach: a later attempt may succeed.
 */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ['42501', denied],
  ['28', login],
  ['3D000', noDatabase],
  ['3F000', notMigrated],
  ['42P01', notMigrated],
  ['42703', notMigrated],
  ['42883', notMigrated],
  ['22', refused],
  ['23', refused],
  ['55P03', locked],
  ['25006', onlyRead],
  ['0A000', onlyRead],
  ['53300', tooManyConnections],
  ['53', outOfResources],
  ['57P03', notReady],
]);

/**
 * The error as a StoreError whose message starts with `what`. Errors of `pg` repeat values of rows and parameters (in
 * message, detail, where), so the cause is a new error with nothing but codes and names of the schema.
 */
export function storeError(error: unknown, what: string): FieldSealError {
  if (isFieldSealError(error)) return error;
  const { code, advice } = meaningOf(sqlStateOf(error));
  const cause = new Error(describe(error));
  return new StoreError(code, `Key store, ${what}: ${advice} (${cause.message}).`, { cause });
}

/** A hot standby, or a database that was set to only read. */
const ONLY_READS: ReadonlySet<string> = new Set(['25006', '0A000']);

/** Whether the server refused to write, or to listen, since it only reads. */
export function onlyReads(error: unknown): boolean {
  return ONLY_READS.has(sqlStateOf(error));
}

/** What passes while other processes start as well: no connection is left, or the server is not ready yet. */
const PASSING: ReadonlySet<Meaning> = new Set([tooManyConnections, notReady]);

/** Whether the next attempt to connect may well succeed. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(meaningOf(sqlStateOf(error)));
}

function meaningOf(sqlState: string): Meaning {
  return MEANINGS.get(sqlState) ?? MEANINGS.get(sqlState.slice(0, 2)) ?? unavailable;
}

/** Five characters; errors of Node carry longer words such as ECONNREFUSED, which are in no class. */
function sqlStateOf(error: unknown): string {
  const code = stringField(error, 'code');
  return code?.length === 5 ? code : '';
}

function describe(error: unknown): string {
  const code = stringField(error, 'code');
  if (code === undefined) return describeUncoded(error);
  const names = ['schema', 'table', 'column', 'constraint']
    .map((name) => [name, stringField(error, name)] as const)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${String(value)}`);
  return [sqlStateOf(error) === '' ? code : `SQLSTATE ${code}`, ...names].join(', ');
}

/** `pg` has no codes for its own errors; these messages hold no values. */
const KNOWN_MESSAGES: readonly string[] = [
  'Query read timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
];

function describeUncoded(error: unknown): string {
  const message = stringField(error, 'message');
  return message !== undefined && KNOWN_MESSAGES.includes(message) ? message : 'an error without a code';
}

function stringField(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value = (error as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : undefined;
}
