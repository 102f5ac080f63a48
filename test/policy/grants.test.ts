/** The printed grants, run on PostgreSQL: what each role can do with the tables, and what it cannot. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grants, type Grants } from '../../src/policy/grants.js';
import { parseSettings, type PolicySettings } from '../../src/policy/settings.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { attachFieldSeal } from '../../src/typeorm/index.js';
import type { EncryptedTable } from '../../src/keys/encrypted-table.js';
import { encryptedTables } from '../../src/typeorm/catalogue.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { OPTIONS, tiersOf, type Keys } from './configuration.js';
import { dataSource } from './entities.js';

const suffix = randomBytes(4).toString('hex');
const roles = {
  app: `app_${suffix}`,
  web: `web_${suffix}`,
  payment: `payment_${suffix}`,
  keyService: `key"service_${suffix}`,
};
const ROLES = Object.values(roles);
const quoted = (role: string): string => `"${role.replaceAll('"', '""')}"`;
const DENIED = /permission denied/u;

let database: FreshDatabase;
let settings: PolicySettings;
let tables: readonly EncryptedTable[];
let printed: Grants;

beforeAll(async () => {
  database = await freshDatabase();
  await database.query('CREATE SCHEMA hr');
  const owner = attachFieldSeal(dataSource(database.url), 'schema-only');
  await owner.initialize();
  await owner.synchronize();
  await owner.destroy();
  await migrateKeyStore({ connectionString: database.url });
  for (const role of ROLES) await database.query(`CREATE ROLE ${quoted(role)} LOGIN PASSWORD 'test'`);
  tables = await encryptedTables(dataSource(database.url));
  settings = parseSettings(OPTIONS, { ...tiersOf(fakeKeys()), database: { roles } });
  printed = grants(settings, tables);
  // A right from before, which the printed ones take back.
  await database.query(`GRANT SELECT ON cards TO ${quoted(roles.web)}`);
  // Twice: they are run again after each migration.
  for (const sql of [printed.application, printed.application, printed.keyStore]) await database.query(sql);
  await database.query(
    `INSERT INTO cards (pan, pan_key, pan_bidx, pan_mask) VALUES ('\\x01', gen_random_uuid(), '\\x02', '1111')`,
  );
});
afterAll(async () => {
  for (const role of ROLES) await database.query(`DROP OWNED BY ${quoted(role)}`);
  for (const role of ROLES) await database.query(`DROP ROLE ${quoted(role)}`);
  await database.drop();
});

describe('the web role', () => {
  it('inserts into tables whose every purpose it can seal', async () => {
    await as(
      'web',
      `INSERT INTO cards (id, status, pan, pan_key, pan_bidx, pan_mask) VALUES (DEFAULT, DEFAULT, '\\x01', gen_random_uuid(), '\\x02', '1111')`,
    );
    await as(
      'web',
      `INSERT INTO hr.people (id, email, email_key) VALUES (gen_random_uuid(), '\\x01', gen_random_uuid())`,
    );
  });

  it('reads plain columns, a mask, and an index that stands beside no mask', async () => {
    expect(await as('web', 'SELECT id, status, pan_mask FROM cards')).not.toEqual([]);
    await as('web', `SELECT id FROM cards WHERE token_bidx = '\\x02'`);
    await as('web', 'SELECT id, "Odd Note" FROM hr.people');
    await as('web', 'SELECT id, note FROM ledger');
  });

  it.each([
    'SELECT pan FROM cards',
    'SELECT * FROM cards',
    'SELECT pan_key FROM cards',
    'SELECT pan_bidx FROM cards',
    `SELECT id FROM cards WHERE pan_bidx = '\\x02'`,
    'SELECT email FROM hr.people',
    'SELECT email_bidx FROM hr.people',
    'SELECT total_bidx FROM ledger',
    "UPDATE cards SET status = 'x'",
    'DELETE FROM cards',
    `INSERT INTO ledger (total, total_key) VALUES ('\\x01', gen_random_uuid())`,
    'INSERT INTO cards (pan, pan_key) VALUES (DEFAULT, DEFAULT) RETURNING pan',
    'TRUNCATE cards',
    'SELECT * FROM fieldseal.data_keys',
  ])('is denied: %s', async (sql) => {
    await expect(as('web', sql)).rejects.toThrow(DENIED);
  });
});

describe('the app role', () => {
  it.each([
    'SELECT * FROM cards',
    `SELECT id FROM cards WHERE pan_bidx = '\\x02'`,
    "UPDATE cards SET status = 'charged' WHERE id = 1",
    `UPDATE cards SET pan = '\\x01', pan_key = gen_random_uuid(), pan_bidx = '\\x05', pan_mask = '1111' WHERE id = 1`,
    `INSERT INTO hr.people (id, email, email_key) VALUES (gen_random_uuid(), '\\x01', gen_random_uuid())`,
    `INSERT INTO ledger (total, total_key, total_bidx) VALUES ('\\x01', gen_random_uuid(), '\\x02')`,
    'DELETE FROM ledger WHERE id = 0',
    'SELECT count(*) FROM fieldseal.key_wraps',
    'UPDATE fieldseal.data_keys SET cells = cells',
  ])('may: %s', async (sql) => {
    await as('app', sql);
  });

  it.each(['UPDATE cards SET id = 7', 'TRUNCATE cards', 'DELETE FROM fieldseal.data_keys'])(
    'is denied: %s',
    async (sql) => {
      await expect(as('app', sql)).rejects.toThrow(DENIED);
    },
  );
});

describe('the payment role', () => {
  it.each([
    'SELECT id, status, pan, pan_key, pan_mask FROM cards',
    "UPDATE cards SET status = 'charged' WHERE id = 1",
    'SELECT email, email_key, email_bidx FROM hr.people',
    `UPDATE hr.people SET email_bidx = '\\x02' WHERE email_bidx IS NULL`,
    `INSERT INTO ledger (total, total_key, total_bidx) VALUES ('\\x01', gen_random_uuid(), '\\x02')`,
    `UPDATE ledger SET total = '\\x03', total_key = gen_random_uuid(), total_bidx = '\\x04'`,
    'SELECT count(*) FROM fieldseal.data_keys',
  ])('may: %s', async (sql) => {
    await as('payment', sql);
  });

  it.each([
    `UPDATE cards SET pan = '\\x01'`,
    `UPDATE cards SET pan_bidx = '\\x01'`,
    'SELECT pan_bidx FROM cards',
    'UPDATE cards SET id = 7',
    'INSERT INTO cards (status) VALUES (DEFAULT)',
    `UPDATE hr.people SET email = '\\x01'`,
    'DELETE FROM ledger',
    'INSERT INTO fieldseal.data_keys DEFAULT VALUES',
  ])('is denied: %s', async (sql) => {
    await expect(as('payment', sql)).rejects.toThrow(DENIED);
  });
});

describe('the role of the key service', () => {
  it('manages the key store and sees nothing of the application', async () => {
    await as('keyService', 'UPDATE fieldseal.data_keys SET cells = cells');
    await expect(as('keyService', 'SELECT id FROM cards')).rejects.toThrow(DENIED);
  });
});

describe('grants', () => {
  it('are made for one tier alone', () => {
    const own = grants(settings, tables, 'payment');
    expect(own.application + own.keyStore).toContain(quoted(roles.payment));
    expect(own.application + own.keyStore).not.toContain(quoted(roles.web));
    expect(own.keyStore).not.toContain(quoted(roles.keyService));
    expect(grants(settings, tables, 'rewrap')).toEqual({ application: '', keyStore: '' });
  });

  it('need roles, tables, and purposes that the entities name', () => {
    const without = { ...settings, database: undefined };
    expect(() => grants(without, tables)).toThrow(/^tiers\.database: /);
    expect(() => grants(settings, undefined)).toThrow(/^dataSource: /);
    const fewer = { ...settings, purposes: settings.purposes.slice(0, 2) };
    expect(() => grants(fewer, tables)).toThrow(/^Ledger\.total names the purpose "reports"/);
  });

  it('of the key store are empty where every key travels in its cell', () => {
    const envelopes = settings.purposes.slice(0, 1);
    expect(grants({ ...settings, purposes: envelopes }, []).keyStore).toBe('');
  });
});

describe('sequences of columns', () => {
  it.each([
    ['short', 'id'],
    ['t'.repeat(40), 'c'.repeat(40)],
    ['t'.repeat(63), 'id'],
    ['id', 'c'.repeat(63)],
    ['ü'.repeat(25), 'ö'.repeat(20)],
  ])('have the name that PostgreSQL gives them: %s.%s', async (name, column) => {
    await database.query(`CREATE TABLE "${name}" ("${column}" serial, cell bytea, cell_key uuid)`);
    const fields = [
      {
        label: 'x',
        purpose: 'card-number',
        cell: 'cell',
        key: 'cell_key',
        index: undefined,
        mask: undefined,
      },
    ];
    const table = { schema: undefined, name, fields, plain: [column], primary: [], numbered: [column] };
    await database.query(grants(settings, [table], 'web').application);
    await as('web', `INSERT INTO "${name}" (cell) VALUES ('\\x01')`);
  });
});

async function as(tier: keyof typeof roles, sql: string): Promise<readonly unknown[]> {
  const url = new URL(database.url);
  url.username = encodeURIComponent(roles[tier]);
  url.password = 'test';
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function fakeKeys(): Keys {
  const names = ['cardA', 'cardB', 'mac', 'personal', 'reportsA', 'reportsB', 'reportsOld', 'foreign'];
  return Object.fromEntries(
    names.map((name) => [name, `arn:aws:kms:eu-central-1:111122223333:key/${name}`]),
  ) as unknown as Keys;
}
