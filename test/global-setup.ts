/** One database server for a whole test run; `freshDatabase` makes databases on it. */
import { join } from 'node:path';
import { hasTestMariadb, startTestDatabase } from '@fieldseal/test-support';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = process.env.FIELDSEAL_CANARY_FOLDER;
  const database = await startTestDatabase(folder === undefined ? {} : { log: join(folder, 'postgres.log') });
  await logStatements(database.url);
  if (!hasTestMariadb()) {
    console.log(
      'test MariaDB: none (mariadbd is not installed, TEST_MARIADB_URL is not set); its tests are skipped',
    );
  }
  project.provide('databaseUrl', database.url);
  return () => database.stop();
}

/** Everything that reaches the server is read by the canary scan at the end of the run (tools/run-tests.mjs). */
async function logStatements(connectionString: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  await client.query("ALTER SYSTEM SET log_statement = 'all'");
  await client.query('SELECT pg_reload_conf()');
  await client.end();
}
