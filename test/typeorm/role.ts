/** A database role with a few rights, as an operator would give them to one process. */
import { randomBytes } from 'node:crypto';
import type { FreshDatabase } from '../database.js';
import { databaseName } from './databases.js';

export interface Role {
  /** The database, as this role. */
  readonly url: string;
  /** Removes the role; its connections must be closed. */
  drop(): Promise<void>;
}

interface RoleSql {
  readonly create: (name: string) => string;
  /** Where ids come from sequences, a role that inserts uses those. */
  readonly rights: readonly string[];
  readonly drop: (name: string) => readonly string[];
}

const POSTGRES: RoleSql = {
  create: (name) => `CREATE ROLE ${name} LOGIN PASSWORD 'test'`,
  rights: ['USAGE ON ALL SEQUENCES IN SCHEMA public'],
  drop: (name) => [`DROP OWNED BY ${name}`, `DROP ROLE ${name}`],
};
const MARIADB: RoleSql = {
  create: (name) => `CREATE USER ${name} IDENTIFIED BY 'test'`,
  rights: [],
  drop: (name) => [`DROP USER ${name}`],
};

/** @param rights For instance `INSERT ON cards`, each on one table. */
export async function newRole(database: FreshDatabase, ...rights: readonly string[]): Promise<Role> {
  const sql = databaseName === 'mariadb' ? MARIADB : POSTGRES;
  const name = `role_${randomBytes(6).toString('hex')}`;
  await database.query(sql.create(name));
  for (const right of [...rights, ...sql.rights]) await database.query(`GRANT ${right} TO ${name}`);
  const url = new URL(database.url);
  url.username = name;
  url.password = 'test';
  return {
    url: url.href,
    drop: async () => {
      for (const statement of sql.drop(name)) await database.query(statement);
    },
  };
}
