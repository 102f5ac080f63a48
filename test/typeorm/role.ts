/** A database role with a few rights, as an operator would give them to one process. */
import { randomBytes } from 'node:crypto';
import type { FreshDatabase } from '../database.js';

export interface Role {
  /** The database, as this role. */
  readonly url: string;
  /** Removes the role; its connections must be closed. */
  drop(): Promise<void>;
}

/** @param rights For instance `INSERT ON cards`. */
export async function newRole(database: FreshDatabase, ...rights: readonly string[]): Promise<Role> {
  const name = `role_${randomBytes(6).toString('hex')}`;
  await database.query(`CREATE ROLE ${name} LOGIN PASSWORD 'test'`);
  for (const right of rights) await database.query(`GRANT ${right} TO ${name}`);
  const url = new URL(database.url);
  url.username = name;
  url.password = 'test';
  return {
    url: url.href,
    drop: async () => {
      await database.query(`DROP OWNED BY ${name}`);
      await database.query(`DROP ROLE ${name}`);
    },
  };
}
