/** The MariaDB server that tests run against. */
import { findMariadb, startMariadb } from './mariadb.mjs';

/** See index.d.mts. */
export const hasTestMariadb = () => Boolean(process.env.TEST_MARIADB_URL) || findMariadb() !== undefined;

/** See index.d.mts. */
export async function startTestMariadb({ log } = {}) {
  const given = process.env.TEST_MARIADB_URL;
  const server = given ? { url: given, stop: async () => {} } : await startMariadb({ log });
  console.log(`test MariaDB: ${given ? 'TEST_MARIADB_URL' : 'own server'}, ${new URL(server.url).host}`);
  return { url: server.url, stop: () => server.stop() };
}
