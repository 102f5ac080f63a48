/** Rights of database roles, as SQL for PostgreSQL: on the tables with encrypted fields, and on the key store. */
import { ConfigError } from '../errors.js';
import { optionError } from '../keys/options.js';
import { storeGrants } from '../store/grants.js';
import { quoteName } from '../store/quoting.js';
import type { EncryptedField, EncryptedTable } from '../keys/encrypted-table.js';
import { columnRights, type DatabaseTier } from './column-rights.js';
import { sequenceName } from './sequence-name.js';
import type { PolicySettings, Purpose, Tier } from './settings.js';

export interface Grants {
  /** For the application's database, run by the owner of its tables. */
  readonly application: string;
  /** For the database of the key store, run by the owner of those. */
  readonly keyStore: string;
}

/** The tiers that are roles of the application's database. */
const DATABASE_TIERS: readonly DatabaseTier[] = ['app', 'web', 'payment'];

/** Those that are roles of the key store, and what they do there. */
const STORE_ROLES = [
  { tier: 'app', role: 'app', access: 'manage', heading: 'The app tier.' },
  { tier: 'payment', role: 'payment', access: 'read', heading: 'The payment tier.' },
  { tier: 'key-service', role: 'keyService', access: 'manage', heading: 'The key service.' },
] as const;

/**
 * @param tier Grants of this tier alone.
 * @throws ConfigError `ERR_CONFIG_OPTION` without `tiers.database`, or without tables where a role needs them;
 *   `ERR_CONFIG_PURPOSE_UNKNOWN`.
 */
export function grants(
  settings: PolicySettings,
  tables: readonly EncryptedTable[] | undefined,
  tier?: Tier,
): Grants {
  if (settings.database === undefined)
    throw optionError('tiers.database', 'the roles of the tiers', 'nothing');
  const { roles } = settings.database;
  const wanted = DATABASE_TIERS.filter((one) => tier === undefined || one === tier);
  return {
    application: inTransaction(
      wanted.flatMap((one) => {
        const role = roles[one];
        return role === undefined ? [] : tierGrants(settings, needed(tables), one, role);
      }),
    ),
    keyStore: inTransaction(keyStoreGrants(settings, tier)),
  };
}

function needed(tables: readonly EncryptedTable[] | undefined): readonly EncryptedTable[] {
  if (tables !== undefined) return tables;
  throw optionError('dataSource', 'a DataSource over the entities, to take the tables from', 'nothing');
}

function tierGrants(
  settings: PolicySettings,
  tables: readonly EncryptedTable[],
  tier: DatabaseTier,
  role: string,
): readonly string[] {
  const to = quoteName(role);
  const schemas = [...new Set(tables.flatMap(({ schema }) => schema ?? []))];
  return [
    `-- The ${tier} tier.`,
    ...schemas.map((schema) => `GRANT USAGE ON SCHEMA ${quoteName(schema)} TO ${to};`),
    ...tables.flatMap((table) => tableGrants(settings, table, tier, to)),
  ];
}

/** A right on a whole table would outlive one on some of its columns, so all that was granted before goes first. */
function tableGrants(
  settings: PolicySettings,
  table: EncryptedTable,
  tier: DatabaseTier,
  to: string,
): readonly string[] {
  const rights = columnRights(tier, table, (field) => purposeOf(settings, field));
  const { insert, select, update } = rights;
  const on = `ON ${qualified(table, table.name)}`;
  const sequences = table.numbered.map((column) => qualified(table, sequenceName(table.name, column)));
  return [
    `REVOKE ALL ${on} FROM ${to};`,
    ...(insert ? [`GRANT INSERT ${on} TO ${to};`] : []),
    ...(rights.delete ? [`GRANT DELETE ${on} TO ${to};`] : []),
    ...(insert ? sequences.map((sequence) => `GRANT USAGE ON SEQUENCE ${sequence} TO ${to};`) : []),
    ...(select.length > 0 ? [`GRANT SELECT (${columnList(select)}) ${on} TO ${to};`] : []),
    ...(update.length > 0 ? [`GRANT UPDATE (${columnList(update)}) ${on} TO ${to};`] : []),
  ];
}

function keyStoreGrants(settings: PolicySettings, tier: Tier | undefined): readonly string[] {
  const { roles, schema } = settings.database!;
  const { application } = settings;
  if (settings.purposes.every(({ stored }) => stored.length === 0)) return [];
  return STORE_ROLES.filter((one) => tier === undefined || one.tier === tier).flatMap(
    ({ role: name, access, heading }) => {
      const role = roles[name];
      return role === undefined ? [] : [`-- ${heading}`, storeGrants({ role, application, access, schema })];
    },
  );
}

function purposeOf({ purposes }: PolicySettings, { label, purpose }: EncryptedField): Purpose {
  const found = purposes.find(({ name }) => name === purpose);
  if (found !== undefined) return found;
  throw new ConfigError(
    'ERR_CONFIG_PURPOSE_UNKNOWN',
    `${label} names the purpose "${purpose}": expected one of options.purposes (${purposes.map(({ name }) => name).join(', ')}).`,
  );
}

function inTransaction(statements: readonly string[]): string {
  if (statements.length === 0) return '';
  return ['BEGIN;', ...statements.map((statement) => statement.trimEnd()), 'COMMIT;', ''].join('\n');
}

function qualified({ schema }: EncryptedTable, name: string): string {
  return schema === undefined ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`;
}

function columnList(names: readonly string[]): string {
  return names.map(quoteName).join(', ');
}
