/** A database of its own for one test file or one test. */
import { randomBytes } from 'node:crypto';
import { Client, Pool, type PoolConfig } from 'pg';
import { inject } from 'vitest';

export interface FreshDatabase {
  /** The server's superuser in the new database. */
  readonly url: string;
  /** Runs one statement on a connection of its own. */
  query(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Removes the database, ending whatever is still connected. */
  drop(): Promise<void>;
}

/** Creates an empty database with a random name, by default on the server of this run, in about 30 ms. */
export async function freshDatabase(server = inject('databaseUrl')): Promise<FreshDatabase> {
  const name = `fieldseal_${randomBytes(8).toString('hex')}`;
  await run(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    query: (sql, values) => run(url.href, sql, values),
    drop: async () => {
      await run(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** A pool as an application has one. It says that it has ended before its connections have, which a drop then ends. */
export function newPool(options: PoolConfig): Pool {
  const pool = new Pool(options);
  pool.on('error', () => undefined);
  return pool;
}

async function run(
  connectionString: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
