/** The shop's database with a role for each tier, and that of the simulated acquirer. */
import { randomBytes } from 'node:crypto';
import type { PostgresServer } from '@fieldseal/test-support';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { Client } from 'pg';
import { CREATE_BOOKS } from '../../app/services/simulated-acquirer.js';
import { shopDataSource } from '../../config/data-source.js';
import { QUEUE_GRANTS } from '../../db/grants.js';

export interface LocalDatabases {
  /** The owner of everything. */
  readonly admin: string;
  readonly web: string;
  readonly payment: string;
  readonly acquirer: string;
}

export async function createDatabases({ url }: Pick<PostgresServer, 'url'>): Promise<LocalDatabases> {
  const login = (role: string, database: string, password = randomBytes(18).toString('base64url')) => ({
    create: `CREATE ROLE ${role} LOGIN PASSWORD '${password}'`,
    url: urlOf(url, { role, password, database }),
  });
  const web = login('shop_web', 'shop');
  const payment = login('shop_payment', 'shop');
  const acquirer = login('acquirer', 'acquirer');
  await execute(
    url,
    ...[web, payment, acquirer].map(({ create }) => create),
    'CREATE DATABASE shop',
    'CREATE DATABASE acquirer OWNER acquirer',
  );
  await execute(acquirer.url, CREATE_BOOKS);
  return {
    admin: urlOf(url, { database: 'shop' }),
    web: web.url,
    payment: payment.url,
    acquirer: acquirer.url,
  };
}

/** Migrations need columns and no key. */
export async function migrate(admin: string): Promise<void> {
  const dataSource = attachFieldSeal(shopDataSource(admin), 'schema-only');
  await dataSource.initialize();
  try {
    await dataSource.runMigrations();
  } finally {
    await dataSource.destroy();
  }
}

/** @param grants What `fieldseal policy` prints for the tables with encrypted fields. */
export function grantRights(admin: string, grants: string): Promise<void> {
  return execute(admin, grants, QUEUE_GRANTS);
}

export async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

interface Login {
  readonly role?: string;
  readonly password?: string;
  readonly database: string;
}

export function urlOf(server: string, { role, password, database }: Login): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  if (role !== undefined) url.username = role;
  if (password !== undefined) url.password = password;
  return url.href;
}
