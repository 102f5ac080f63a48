/** One MariaDB server for the tests of the project `mariadb`. */
import { join } from 'node:path';
import { startTestMariadb } from '@fieldseal/test-support';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    mariadbUrl: string;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = process.env.FIELDSEAL_CANARY_FOLDER;
  const server = await startTestMariadb(folder === undefined ? {} : { log: join(folder, 'mariadb.log') });
  project.provide('mariadbUrl', server.url);
  return () => server.stop();
}
