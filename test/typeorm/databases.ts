/** The databases that hold the shop's rows: what tests of the adapter must know to run on each of them. */
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import pg from 'pg';
import initSqlJs, { type Database } from 'sql.js';
import type { ColumnType, DataSourceOptions } from 'typeorm';
import { inject } from 'vitest';
import { fingerprintBytes } from '../../src/cell/fingerprint.js';
import { freshDatabase, type FreshDatabase } from '../database.js';

export type DatabaseName = 'postgres' | 'mariadb' | 'sqljs';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the project that runs the test. */
    database: DatabaseName;
    /** The package that stands in the place of pg. */
    pg: 'pg' | 'pg-8.11.0';
  }
}

/** Where statements of tests differ. Values go into parameters `$1`, `$2`, …, which all of them understand here. */
interface Dialect {
  /** An empty database of its own. */
  fresh(): Promise<FreshDatabase>;
  /** Options of a DataSource over a database that `fresh` made. */
  options(url: string): DataSourceOptions;
  /** A column of bytes that a cell can be bound to. */
  readonly bytes: ColumnType;
  /** A fingerprint, given as UUID text, as its column has it. */
  readonly fingerprint: (uuid: unknown) => unknown;
  /** What a violated unique constraint says. */
  readonly unique: RegExp;
  /** Selects the connections of others that are at work in this database. */
  readonly busy: string;
}

const DIALECTS: Readonly<Record<DatabaseName, Dialect>> = {
  postgres: {
    fresh: freshDatabase,
    // By itself TypeORM loads the newest pg, whatever the project has in the place of that.
    options: (url) => ({ type: 'postgres', url, driver: pg }),
    bytes: 'bytea',
    fingerprint: (uuid) => uuid,
    unique: /unique/u,
    busy: "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()",
  },
  mariadb: {
    fresh: freshMariadb,
    options: (url) => ({ type: 'mariadb', url }),
    bytes: 'varbinary',
    fingerprint: asBytes,
    unique: /Duplicate entry/u,
    busy: "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND command <> 'Sleep' AND id <> CONNECTION_ID()",
  },
  sqljs: {
    fresh: freshSqljs,
    options: (url) => ({ type: 'sqljs', driver: driverOf(url) }),
    bytes: 'blob',
    fingerprint: asBytes,
    unique: /UNIQUE/u,
    busy: 'SELECT 1 WHERE 0',
  },
};

export const databaseName = inject('database');
export const dialect = DIALECTS[databaseName];

async function freshMariadb(): Promise<FreshDatabase> {
  const server = inject('mariadbUrl');
  const name = `fieldseal_${randomBytes(8).toString('hex')}`;
  await runMariadb(server, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    query: (sql, values) => runMariadb(url.href, sql, values),
    drop: async () => {
      await runMariadb(server, `DROP DATABASE IF EXISTS ${name}`);
    },
  };
}

async function runMariadb(url: string, sql: string, values: readonly unknown[] = []) {
  const connection = await mysql.createConnection(url);
  try {
    const [rows] = await connection.query(...positional(sql.replaceAll('"', '`'), values));
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  } finally {
    await connection.end();
  }
}

/** Databases in the memory of this process by their URL, so that several DataSources can use one. */
const sqljsDatabases = new Map<string, Database>();

async function freshSqljs(): Promise<FreshDatabase> {
  const { Database } = await initSqlJs();
  const url = `sqljs:${randomBytes(8).toString('hex')}`;
  const database = new Database();
  sqljsDatabases.set(url, database);
  return {
    url,
    query: (sql, values = []) => Promise.resolve(runSqljs(database, sql, values)),
    drop: () => {
      sqljsDatabases.delete(url);
      database.close();
      return Promise.resolve();
    },
  };
}

function runSqljs(database: Database, sql: string, values: readonly unknown[]) {
  const [text, ordered] = positional(sql, values);
  const statement = database.prepare(text, ordered);
  const rows: Record<string, unknown>[] = [];
  while (statement.step()) rows.push(statement.getAsObject());
  statement.free();
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, asBuffer(value)])),
  );
}

/** A driver whose every DataSource has the same database, which stays open when one of them is destroyed. */
function driverOf(url: string): unknown {
  const database = sqljsDatabases.get(url)!;
  const kept = Object.create(database, { close: { value: () => undefined } }) as Database;
  return {
    Database: function () {
      return kept;
    },
  };
}

function asBytes(uuid: unknown): unknown {
  return typeof uuid === 'string' ? fingerprintBytes(uuid) : uuid;
}

/** A statement with `?` for parameters, and its values in their order. */
function positional(sql: string, values: readonly unknown[]): [sql: string, values: unknown[]] {
  const ordered: unknown[] = [];
  const text = sql.replaceAll(/\$(\d+)/gu, (_, number: string) => {
    ordered.push(values[Number(number) - 1]);
    return '?';
  });
  return [text, ordered];
}

/** Every driver's bytes as a Buffer. */
export const asBuffer = (value: unknown): unknown =>
  value instanceof Uint8Array && !Buffer.isBuffer(value) ? Buffer.from(value) : value;
