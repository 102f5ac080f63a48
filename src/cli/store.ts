/** `fieldseal store …`: the tables of the key store. */
import { Command } from 'commander';
import { migrateKeyStore, printMigrations } from '../store/migrate.js';

interface MigrateFlags {
  readonly print?: true;
  readonly databaseUrl?: string;
  readonly schema?: string;
}

/** Exit code of a command that was called wrongly. */
const USAGE_EXIT_CODE = 2;

const HELP = `
The URL of the key store's database is taken from --database-url or from FIELDSEAL_DATABASE_URL. The latter is better:
other users of the machine can read the arguments of a command.`;

export function storeCommand(): Command {
  const store = new Command('store').description('Manage the tables of the key store');
  store
    .command('migrate')
    .description('Create the tables of the key store or bring them to the version of this package')
    .option('--print', 'print the SQL and change nothing; needs no database')
    .option('--database-url <url>', 'PostgreSQL database of the key store')
    .option('--schema <name>', 'schema of the tables (default: fieldseal)')
    .addHelpText('after', HELP)
    .action(migrate);
  return store;
}

async function migrate(flags: MigrateFlags, command: Command): Promise<void> {
  const schema = flags.schema === undefined ? {} : { schema: flags.schema };
  if (flags.print) {
    process.stdout.write(printMigrations(schema));
    return;
  }
  const connectionString = flags.databaseUrl ?? process.env.FIELDSEAL_DATABASE_URL;
  if (!connectionString) {
    command.error('error: no database: set FIELDSEAL_DATABASE_URL or give --database-url', {
      exitCode: USAGE_EXIT_CODE,
    });
  }
  const { from, to } = await migrateKeyStore({ connectionString, ...schema });
  const done = from === to ? `is at version ${to}, nothing to do` : `migrated from version ${from} to ${to}`;
  process.stdout.write(`key store ${done}\n`);
}
