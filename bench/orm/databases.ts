/** Databases of their own on the server of a bench. */
import { Client } from 'pg';

/** `pages` is filled once, and found and saved again; `inserts` is emptied before each insert. */
const DATABASES = ['keys', 'pages', 'inserts'] as const;

/** Of the key store and of the two databases with the tables. */
export type Urls = Readonly<Record<(typeof DATABASES)[number], string>>;

export async function createDatabases(server: string): Promise<Urls> {
  const client = new Client({ connectionString: server });
  await client.connect();
  for (const name of DATABASES) await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return Object.fromEntries(DATABASES.map((name) => [name, new URL(`/${name}`, server).href])) as Urls;
}
