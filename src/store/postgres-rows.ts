/** The statements on the tables of one key store. */
import { StoreError } from '../errors.js';
import type { KeyEvent, KeyFilter, KeyRecord, KeyScope, LockedKeyStore, Wrap } from '../keys/ports.js';
import type { KeyState } from '../keys/states.js';
import {
  EVENT_COLUMNS,
  FIXED_KEY_COLUMNS,
  isUuid,
  MUTABLE_KEY_COLUMNS,
  parametersOf,
  parseRow,
  selectList,
  WRAP_COLUMNS,
} from './columns.js';
import { describeScope } from './scopes.js';
import type { TextResult } from './connections.js';

/** Runs one statement; `what` begins the message of an error. */
export type RunStatement = (what: string, sql: string, values: readonly unknown[]) => Promise<TextResult>;

/** Rows of one INSERT. PostgreSQL takes 65,535 parameters a statement; an event has 13. */
const ROWS_PER_INSERT = 1_000;

const KEY_COLUMNS = [...FIXED_KEY_COLUMNS, ...MUTABLE_KEY_COLUMNS];
const OF_SCOPE = 'application = $1 AND environment = $2 AND purpose = $3';

/** Reads and writes rows through `run`: of a pool outside a lock, of the lock's one connection inside it. */
export class PostgresRows implements LockedKeyStore {
  readonly #run: RunStatement;
  readonly #schema: string;

  /** @param schema A checked name, since it becomes part of the SQL. */
  constructor(schema: string, run: RunStatement) {
    this.#schema = schema;
    this.#run = run;
  }

  list(scope: KeyScope, filter: KeyFilter = {}): Promise<KeyRecord[]> {
    const { kinds = null, states = null } = filter;
    const where = `($4::text[] IS NULL OR kind = ANY ($4)) AND ($5::text[] IS NULL OR state = ANY ($5))`;
    return this.#keys(scope, `listing keys of ${describeScope(scope)}`, where, [kinds, states]);
  }

  async find(scope: KeyScope, fingerprints: readonly string[]): Promise<KeyRecord[]> {
    // Fingerprints come out of cells and sibling columns, where anything may stand.
    const wanted = fingerprints.filter(isUuid);
    if (wanted.length === 0) return [];
    const what = `loading ${wanted.length} keys of ${describeScope(scope)}`;
    return this.#keys(scope, what, 'fingerprint = ANY ($4::uuid[])', [wanted]);
  }

  events(scope: KeyScope, fromSeq = 1): Promise<KeyEvent[]> {
    return this.#events(scope, 'AND seq >= $4 ORDER BY e.seq', [fromSeq]);
  }

  async lastEvent(scope: KeyScope): Promise<KeyEvent | undefined> {
    const [last] = await this.#events(scope, 'ORDER BY e.seq DESC LIMIT 1', []);
    return last;
  }

  async now(): Promise<number> {
    // Not now(), which says when the transaction began: it may have waited for the lock.
    const sql = 'SELECT round(extract(epoch FROM clock_timestamp()) * 1000)::text AS now';
    const { rows } = await this.#run('reading the clock of the database', sql, []);
    return Number(rows[0]?.now);
  }

  async insert(record: KeyRecord): Promise<boolean> {
    const names = KEY_COLUMNS.map(({ name }) => name);
    const sql = `INSERT INTO ${this.#table('data_keys')} (${names.join(', ')}) VALUES ${placeholders(1, names.length)} ON CONFLICT DO NOTHING`;
    const what = `inserting key ${record.fingerprint}`;
    const { rowCount } = await this.#run(what, sql, parametersOf(KEY_COLUMNS, record));
    if (rowCount !== 1) return false;
    const wraps = record.wraps.map((wrap) => [record.fingerprint, ...parametersOf(WRAP_COLUMNS, wrap)]);
    const whatWraps = `inserting wraps of key ${record.fingerprint}`;
    await this.#insertAll('ERR_STORE_ROW', whatWraps, 'key_wraps', WITH_FINGERPRINT, wraps);
    return true;
  }

  async update(record: KeyRecord, from: KeyState): Promise<boolean> {
    const assignments = MUTABLE_KEY_COLUMNS.map(({ name }, i) => `${name} = $${i + 7}`).join(', ');
    const where = `${OF_SCOPE} AND fingerprint = $4 AND revision = $5 AND state = $6`;
    const { application, environment, purpose, fingerprint, revision } = record;
    const { rowCount } = await this.#run(
      `updating key ${fingerprint}`,
      `UPDATE ${this.#table('data_keys')} SET ${assignments} WHERE ${where}`,
      [
        application,
        environment,
        purpose,
        fingerprint,
        revision - 1,
        from,
        ...parametersOf(MUTABLE_KEY_COLUMNS, record),
      ],
    );
    return rowCount === 1;
  }

  async append(events: readonly KeyEvent[]): Promise<void> {
    const names = EVENT_COLUMNS.map(({ name }) => name);
    const rows = events.map((event) => parametersOf(EVENT_COLUMNS, event));
    await this.#insertAll('ERR_STORE_EVENTS', `appending ${events.length} events`, 'key_events', names, rows);
  }

  async #keys(
    scope: KeyScope,
    what: string,
    where: string,
    values: readonly unknown[],
  ): Promise<KeyRecord[]> {
    const wraps = `(SELECT json_agg(json_build_array(${WRAP_COLUMNS.map(({ select }) => select).join(', ')}) ORDER BY created, wrap_id)
      FROM ${this.#table('key_wraps')} w WHERE w.fingerprint = k.fingerprint)::text`;
    const sql = `SELECT ${selectList(KEY_COLUMNS)}, ${wraps} AS wraps FROM ${this.#table('data_keys')} k
      WHERE ${OF_SCOPE} AND ${where} ORDER BY k.created, k.fingerprint`;
    const { rows } = await this.#run(what, sql, [...scopeValues(scope), ...values]);
    return rows.map(parseKey);
  }

  async #events(scope: KeyScope, rest: string, values: readonly unknown[]): Promise<KeyEvent[]> {
    // The select list names texts after their columns; ORDER BY by the bare name would sort numbers as texts.
    const sql = `SELECT ${selectList(EVENT_COLUMNS)} FROM ${this.#table('key_events')} AS e WHERE ${OF_SCOPE} ${rest}`;
    const what = `reading events of ${describeScope(scope)}`;
    const { rows } = await this.#run(what, sql, [...scopeValues(scope), ...values]);
    return rows.map(
      (row) => parseRow('key_events', EVENT_COLUMNS, row, row.seq ?? '?') as unknown as KeyEvent,
    );
  }

  /** Rows that are there already, or twice in `rows`, are an error of the given code. */
  async #insertAll(
    taken: 'ERR_STORE_ROW' | 'ERR_STORE_EVENTS',
    what: string,
    table: string,
    names: readonly string[],
    rows: readonly unknown[][],
  ): Promise<void> {
    let inserted = 0;
    for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
      const part = rows.slice(from, from + ROWS_PER_INSERT);
      const values = placeholders(part.length, names.length);
      const sql = `INSERT INTO ${this.#table(table)} (${names.join(', ')}) VALUES ${values} ON CONFLICT DO NOTHING`;
      inserted += (await this.#run(what, sql, part.flat())).rowCount ?? 0;
    }
    if (inserted === rows.length) return;
    const expected = `expected ${rows.length} new rows, got ${rows.length - inserted} whose number or id is taken`;
    throw new StoreError(taken, `Key store, ${what}: ${expected}; nothing was written.`);
  }

  #table(name: string): string {
    return `"${this.#schema}".${name}`;
  }
}

const WITH_FINGERPRINT = ['fingerprint', ...WRAP_COLUMNS.map(({ name }) => name)];

function parseKey(row: TextResult['rows'][number]): KeyRecord {
  const fingerprint = row.fingerprint ?? '?';
  const record = parseRow('data_keys', KEY_COLUMNS, row, fingerprint);
  // PostgreSQL made this JSON, so its shape is ours; its values are not.
  const wraps = JSON.parse(row.wraps ?? '[]') as (string | null)[][];
  return { ...record, wraps: wraps.map((values) => parseWrap(values, fingerprint)) } as unknown as KeyRecord;
}

function parseWrap(values: readonly (string | null)[], fingerprint: string): Wrap {
  const row = Object.fromEntries(WRAP_COLUMNS.map(({ property }, i) => [property, values[i]]));
  return parseRow('key_wraps', WRAP_COLUMNS, row, fingerprint) as unknown as Wrap;
}

function scopeValues({ application, environment, purpose }: KeyScope): readonly string[] {
  return [application, environment, purpose];
}

/** `($1, $2), ($3, $4)` */
function placeholders(rows: number, columns: number): string {
  const row = (i: number): string =>
    Array.from({ length: columns }, (_, j) => `$${i * columns + j + 1}`).join(', ');
  return Array.from({ length: rows }, (_, i) => `(${row(i)})`).join(', ');
}
