/** The rights of database roles on the key store, as SQL. */
import { oneOf, parseOptions, text } from '../keys/options.js';
import { MUTABLE_KEY_COLUMNS } from './columns.js';
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
    `GRANT INSERT ON ${tables(['data_keys', 'key_wraps', 'key_events'])} ${to}`,
    `GRANT UPDATE (${mutable}) ON "${schema}".data_keys ${to}`,
  ];
  return [...reading, ...(access === 'manage' ? managing : [])]
    .map((statement) => `${statement};\n`)
    .join('');
}
