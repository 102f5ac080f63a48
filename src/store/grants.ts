/** The rights of database roles on the key store, as SQL. */
import { StoreError } from '../errors.js';
import { oneOf, parseOptions, text } from '../keys/options.js';
import { MUTABLE_KEY_COLUMNS } from './columns.js';
import type { Connections, PgClient } from './connections.js';
import { quoteName, quoteText } from './quoting.js';
import { schemaRule } from './schema.js';

export interface StoreGrantsOptions {
  /** Database role that the process logs in as. It must exist and must not own the tables. */
  readonly role: string;
  /** The one application whose keys the role may see. */
  readonly application: string;
  /** `'read'` for applications (`manage: false`), `'manage'` for the key service. */
  readonly access: 'read' | 'manage';
  /** Default `'fieldseal'`. */
  readonly schema?: string;
}

const READABLE = ['migrations', 'role_applications', 'data_keys', 'key_wraps', 'key_events'];
/** Tables that whoever makes keys adds rows to. */
const GROWING = ['data_keys', 'key_wraps', 'key_events'];
const RULES = { role: text(), application: text(), access: oneOf(['read', 'manage']), schema: schemaRule };

/**
 * Statements that give a role what it needs and nothing more: readers see keys, wraps and events of one application,
 * managers also insert all three and change states and counters. Nobody may delete. To be run by the owner of the
 * tables. Any role of the database may hold a purpose's advisory lock and so delay (never change) its management;
 * a database of its own for the key store keeps strangers out.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function storeGrants(options: StoreGrantsOptions): string {
  const { role, application, access, schema } = parseOptions(RULES, options, 'storeGrants');
  const to = `TO ${quoteName(role)}`;
  const tables = (names: readonly string[]): string =>
    names.map((table) => `"${schema}".${table}`).join(', ');
  const mutable = MUTABLE_KEY_COLUMNS.map((column) => column.name).join(', ');
  const reading = [
    `GRANT USAGE ON SCHEMA "${schema}" ${to}`,
    `GRANT SELECT ON ${tables(READABLE)} ${to}`,
    `INSERT INTO "${schema}".role_applications (role, application) VALUES (${quoteText(role)}, ${quoteText(application)}) ON CONFLICT DO NOTHING`,
  ];
  const managing = [
    `GRANT INSERT ON ${tables(GROWING)} ${to}`,
    `GRANT UPDATE (${mutable}) ON "${schema}".data_keys ${to}`,
  ];
  return [...reading, ...(access === 'manage' ? managing : [])]
    .map((statement) => `${statement};\n`)
    .join('');
}

/**
 * A role that only reads would go unnoticed until the first key has to be made or counted, hours after the start.
 * @throws StoreError `ERR_STORE_DENIED` where the role of the connection may not write what `'manage'` gives.
 */
export async function assertMayManage(
  connections: Connections,
  client: PgClient,
  schema: string,
): Promise<void> {
  const inserts = GROWING.map((table) => `has_table_privilege('"${schema}".${table}', 'INSERT')`);
  const updates = MUTABLE_KEY_COLUMNS.map(
    ({ name }) => `has_column_privilege('"${schema}".data_keys', '${name}', 'UPDATE')`,
  );
  const { rows } = await connections.query(
    client,
    'looking for the rights of the database role',
    `SELECT (${[...inserts, ...updates].join(' AND ')})::text AS may, current_user::text AS role`,
  );
  if (rows[0]?.may === 'true') return;
  throw new StoreError(
    'ERR_STORE_DENIED',
    `Key store, schema ${schema}: expected a role that may make and count keys (manage: true), got ${rows[0]?.role}, which ` +
      "lacks a right for it; give it those of storeGrants({ access: 'manage' }), or start the process with manage: false.",
  );
}
