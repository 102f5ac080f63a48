/** Creates and updates the tables of the key store. */
import { duration, parseOptions, withDefault } from '../keys/options.js';
import { CONNECTION_RULES, Connections, type ConnectionOptions, type PgClient } from './connections.js';
import { LATEST_VERSION, MIGRATIONS } from './migrations/index.js';
import type { Migration } from './migrations/migration.js';
import { advisoryKey } from './postgres-lock.js';
import { schemaRule } from './schema.js';
import { loadSchemaVersion, newerError } from './schema-version.js';

/**
 * How to reach the database. The role must own the tables, or be allowed to create them. `statementTimeout` holds for
 * a whole step and for the wait for another process that migrates; its default here is 10 minutes.
 */
export interface MigrateOptions extends ConnectionOptions {
  /** Schema of the tables. Default `'fieldseal'`. */
  readonly schema?: string;
}

/** Versions before and after; the same when there was nothing to do. */
export interface MigrateResult {
  readonly from: number;
  readonly to: number;
}

const MIGRATE_RULES = {
  ...CONNECTION_RULES,
  statementTimeout: withDefault(duration(1), 10 * 60_000),
  schema: schemaRule,
};

/**
 * Brings the tables to the version this package needs. Each step runs in a transaction of its own under an advisory
 * lock, so several processes may call this at once, and a killed one leaves no half step. There is no way back.
 * @throws StoreError `ERR_STORE_NEWER` where a newer package made the tables, `ERR_STORE_DENIED`,
 * `ERR_STORE_UNAVAILABLE`; ConfigError `ERR_CONFIG_OPTION`, `ERR_CONFIG_PEER_MISSING`, `ERR_CONFIG_PEER_FAILED`.
 */
export async function migrateKeyStore(options: MigrateOptions): Promise<MigrateResult> {
  const { schema, ...connectionOptions } = parseOptions(MIGRATE_RULES, options, 'migrateKeyStore');
  const connections = new Connections(connectionOptions, 'migrateKeyStore');
  try {
    const from = await runNextStep(connections, schema);
    let version = from;
    while (version < LATEST_VERSION) version = await runNextStep(connections, schema);
    return { from, to: version };
  } finally {
    await connections.end();
  }
}

/**
 * The SQL of all steps, for review or for `psql`: the same that {@link migrateKeyStore} runs.
 * @throws ConfigError `ERR_CONFIG_OPTION`.
 */
export function printMigrations(options: { readonly schema?: string } = {}): string {
  const { schema } = parseOptions({ schema: schemaRule }, options, 'printMigrations');
  return MIGRATIONS.map((step) => {
    const title = `-- ${step.version} ${step.name} (${step.breaking ? 'breaking' : 'not breaking'})`;
    return `${title}\nBEGIN;\n${lock(schema)};\n${sqlOf(step, schema)}COMMIT;\n`;
  }).join('\n');
}

/** Runs the first missing step, if any, and tells the version found before it. */
async function runNextStep(connections: Connections, schema: string): Promise<number> {
  return connections.use('migrating', async (client) => {
    await connections.query(client, 'migrating', `BEGIN; ${lock(schema)}`);
    try {
      const { version } = await loadSchemaVersion(connections, client, schema);
      if (version > LATEST_VERSION) throw newerError(schema, version);
      await runStep(connections, client, schema, MIGRATIONS[version]);
      return version;
    } catch (error) {
      await connections.query(client, 'migrating', 'ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}

async function runStep(
  connections: Connections,
  client: PgClient,
  schema: string,
  step: Migration | undefined,
): Promise<void> {
  const sql = step === undefined ? '' : sqlOf(step, schema);
  await connections.query(client, `migrating to version ${step?.version ?? LATEST_VERSION}`, `${sql} COMMIT`);
}

function lock(schema: string): string {
  return `SELECT pg_advisory_xact_lock(${advisoryKey(schema)})`;
}

function sqlOf({ version, name, breaking, sql }: Migration, schema: string): string {
  const record = `INSERT INTO "${schema}".migrations (version, name, breaking) VALUES (${version}, '${name}', ${breaking});`;
  return `${sql(schema)}${record}\n`;
}
