/** `fieldseal policy`: the least-privilege documents of every tier. */
import { Command, Option } from 'commander';
import type { DataSource } from 'typeorm';
import { ConfigError, isError, isFieldSealError } from '../errors.js';
import { describeValue, optionError } from '../keys/options.js';
import type { EncryptedTable } from '../keys/encrypted-table.js';
import { loadPeer } from '../keys/peer.js';
import { DATABASES, FORMATS, printPolicies, type Database, type Format } from '../policy/print.js';
import { parseSettings, TIERS, type Tier } from '../policy/settings.js';
import { DEFAULT_CONFIG, loadConfigModule } from './config-module.js';

interface PolicyFlags {
  readonly config: string;
  readonly format: Format;
  readonly tier?: Tier;
  readonly database?: Database;
}

const HELP = `
json       one object: keyPolicies by key ARN, identityPolicies by tier
sql        grants for PostgreSQL, in two parts for two databases (--database prints one); needs tiers.database, and for
           the application's tables the export dataSource
terraform  aws_kms_key_policy, aws_iam_policy and aws_iam_policy_attachment resources, with variables
all        every document under a heading of its own

The module exports options (of createFieldSeal, which checks them too; keys are ignored), tiers and, for SQL, dataSource. The command runs
it, and asks neither a KMS nor a database.`;

export function policyCommand(): Command {
  return new Command('policy')
    .description(
      'Print the least-privilege documents of every tier: KMS key policies, IAM policies, SQL grants',
    )
    .option('--config <path>', 'configuration module', DEFAULT_CONFIG)
    .addOption(new Option('--format <format>', 'what to print').choices(FORMATS).default('json'))
    .addOption(
      new Option('--tier <tier>', 'documents of one tier alone, without key policies').choices(TIERS),
    )
    .addOption(new Option('--database <database>', 'SQL for one database alone').choices(DATABASES))
    .addHelpText('after', HELP)
    .action(policy);
}

async function policy({ config, format, tier, database }: PolicyFlags, command: Command): Promise<void> {
  if (database !== undefined && format !== 'sql') {
    command.error(`error: option '--database' is for '--format sql', got '--format ${format}'`);
  }
  const { options, tiers, dataSource } = await loadConfigModule(config);
  const settings = parseSettings(options, tiers);
  const tables = dataSource === undefined ? undefined : await tablesOf(dataSource);
  process.stdout.write(printPolicies(format, { settings, tables, tier, database }));
}

async function tablesOf(dataSource: unknown): Promise<readonly EncryptedTable[]> {
  if (!isPostgres(dataSource)) {
    throw optionError(
      'dataSource',
      "a DataSource of TypeORM with type: 'postgres'",
      describeValue(dataSource),
    );
  }
  // Only with a DataSource in hand: the ORM is an optional peer, and its adapter loads it.
  const { encryptedTables } = await loadPeer(
    'typeorm',
    () => import('../typeorm/catalogue.js'),
    'dataSource',
  );
  try {
    return await encryptedTables(dataSource);
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    const name = isError(error) ? error.name : 'unknown error';
    throw new ConfigError('ERR_CONFIG_OPTION', `dataSource: its entities cannot be read (${name}).`);
  } finally {
    // Open connections would keep the command from ending.
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

function isPostgres(value: unknown): value is DataSource {
  if (typeof value !== 'object' || value === null || !('options' in value)) return false;
  return (value as DataSource).options.type === 'postgres' && 'entityMetadatas' in value;
}
