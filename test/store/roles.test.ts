import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import type { KeyStore } from '../../src/keys/ports.js';
import { migrateKeyStore, postgresKeyStore, storeGrants } from '../../src/store/postgres.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { expectCode } from './expect-code.js';
import { aKey, anEvent, SCOPE } from './records.js';

const HUB = { ...SCOPE, application: 'hub' };
/** Roles belong to the server, so their names must not meet those of other test files. */
const suffix = randomBytes(4).toString('hex');
const [reader, manager, stranger, member] = ['reader', 'manager', 'stranger', 'member'].map(
  (n) => `${n}_${suffix}`,
);
const shopKey = aKey();
const hubKey = aKey(HUB);

let database: FreshDatabase;

beforeAll(async () => {
  database = await freshDatabase();
  await migrateKeyStore({ connectionString: database.url });
  for (const role of [reader, manager, stranger, member]) {
    await database.query(`CREATE ROLE "${role}" LOGIN PASSWORD 'test'`);
  }
  await database.query(storeGrants({ role: reader!, application: 'shop', access: 'read' }));
  await database.query(storeGrants({ role: manager!, application: 'shop', access: 'manage' }));
  await database.query(`GRANT "${reader}" TO "${member}"`);
  const owner = postgresKeyStore({ connectionString: database.url });
  for (const key of [shopKey, hubKey]) {
    await owner.withLock(key, async (locked) => {
      await locked.insert(key);
      await locked.append([anEvent(1, key)]);
    });
  }
  await owner.close();
});
afterAll(async () => {
  await database.drop();
  const server = await freshDatabase();
  for (const role of [member, reader, manager, stranger]) await server.query(`DROP ROLE IF EXISTS "${role}"`);
  await server.drop();
});

describe('a role that reads for one application', () => {
  test('starts a store and reads keys, wraps and events of its application', async () => {
    await as(reader, async (store) => {
      await store.start();
      expect(await store.list(SCOPE)).toEqual([shopKey]);
      expect(await store.find(SCOPE, [shopKey.fingerprint])).toEqual([shopKey]);
      expect(await store.events(SCOPE)).toHaveLength(1);
    });
  });

  test('sees nothing of another application, whatever it sets in its session', async () => {
    await as(reader, async (store) => {
      expect(await store.list(HUB)).toEqual([]);
      expect(await store.find(HUB, [hubKey.fingerprint])).toEqual([]);
      expect(await store.events(HUB)).toEqual([]);
    });
    for (const setting of ["SET fieldseal.application = 'hub'", 'SET row_security = on']) {
      expect(await rowCounts(reader, setting)).toEqual({ data_keys: 1, key_wraps: 1, key_events: 1 });
    }
  });

  test('sees no key any more when its row in role_applications is changed, whichever column it is', async () => {
    const changes = { role: "'somebody'", application: "'hub'" };
    const columns = await database.query(
      "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'fieldseal' AND table_name = 'role_applications'",
    );
    expect(columns.map(({ name }) => name).sort()).toEqual(Object.keys(changes).sort());
    for (const [column, changed] of Object.entries(changes)) {
      const before = { role: reader, application: 'shop' }[column];
      const where =
        column === 'role'
          ? `application = 'shop' AND role = '${changed.slice(1, -1)}'`
          : `role = '${reader}'`;
      await database.query(
        `UPDATE fieldseal.role_applications SET ${column} = ${changed} WHERE role = '${reader}' AND application = 'shop'`,
      );
      await as(reader, async (store) => {
        expect(await store.list(SCOPE)).toEqual([]);
        expect(await store.events(SCOPE)).toEqual([]);
      });
      await database.query(`UPDATE fieldseal.role_applications SET ${column} = $1 WHERE ${where}`, [before]);
    }
    await as(reader, async (store) => {
      expect(await store.list(SCOPE)).toEqual([shopKey]);
    });
  });

  test('is refused every change, through the store and by SQL', async () => {
    await as(reader, async (store) => {
      const update = { ...shopKey, revision: 2, cells: 1 };
      await expectCode(
        store.withLock(SCOPE, (locked) => locked.insert(aKey())),
        'ERR_STORE_DENIED',
      );
      await expectCode(
        store.withLock(SCOPE, (locked) => locked.update(update, shopKey.state)),
        'ERR_STORE_DENIED',
      );
      await expectCode(
        store.withLock(SCOPE, (locked) => locked.append([anEvent(2, shopKey)])),
        'ERR_STORE_DENIED',
      );
    });
    for (const table of ['data_keys', 'key_wraps', 'key_events', 'migrations', 'role_applications']) {
      await expect(sqlAs(reader, `DELETE FROM fieldseal.${table}`)).rejects.toThrow('permission denied');
    }
    await expect(
      sqlAs(reader, `INSERT INTO fieldseal.role_applications VALUES ('${reader}', 'hub')`),
    ).rejects.toThrow('permission denied');
  });

  test('starts no process that makes keys, which would fail hours later', async () => {
    await as(reader, async (store) => {
      const error = await expectCode(store.start('manage'), 'ERR_STORE_DENIED');
      expect(error.message).toContain(reader);
      expect(error.message).toContain("storeGrants({ access: 'manage' })");
    });
    await as(reader, (store) => store.start('read'));
  });

  test('gives what it sees to its members', async () => {
    await as(member, async (store) => {
      expect(await store.list(SCOPE)).toEqual([shopKey]);
      expect(await store.list(HUB)).toEqual([]);
    });
  });
});

describe('a role that manages one application', () => {
  test('inserts keys, changes their states and appends events', async () => {
    const key = aKey({ ...SCOPE, purpose: 'reports' });
    await as(manager, async (store) => {
      await store.withLock(key, async (locked) => {
        expect(await locked.insert(key)).toBe(true);
        expect(await locked.update({ ...key, state: 'DECRYPT', revision: 2 }, key.state)).toBe(true);
        await locked.append([anEvent(1, key)]);
      });
      expect(await store.list(key)).toEqual([{ ...key, state: 'DECRYPT', revision: 2 }]);
    });
  });

  test('starts a process that makes keys, until one right is taken away', async () => {
    await as(manager, (store) => store.start('manage'));
    for (const right of ['INSERT ON fieldseal.key_wraps', 'UPDATE (revision) ON fieldseal.data_keys']) {
      await database.query(`REVOKE ${right} FROM "${manager}"`);
      await as(manager, async (store) => {
        await expectCode(store.start('manage'), 'ERR_STORE_DENIED');
      });
      await database.query(`GRANT ${right} TO "${manager}"`);
    }
  });

  test('writes nothing for another application', async () => {
    await as(manager, async (store) => {
      const key = aKey(HUB);
      const update = { ...hubKey, revision: 2, cells: 1 };
      await expectCode(
        store.withLock(HUB, (locked) => locked.insert(key)),
        'ERR_STORE_DENIED',
      );
      expect(await store.withLock(HUB, (locked) => locked.update(update, hubKey.state))).toBe(false);
      await expectCode(
        store.withLock(HUB, (locked) => locked.append([anEvent(2, key)])),
        'ERR_STORE_DENIED',
      );
    });
    const wrap = `'${hubKey.fingerprint}', 'kek', gen_random_uuid(), 'x', now()`;
    await expect(
      sqlAs(
        manager,
        `INSERT INTO fieldseal.key_wraps (fingerprint, kek, wrap_id, wrapped, created) VALUES (${wrap})`,
      ),
    ).rejects.toThrow('row-level security');
  });

  test.each([
    'DELETE FROM fieldseal.key_events',
    'UPDATE fieldseal.key_events SET why = why',
    'TRUNCATE fieldseal.key_events',
    'DELETE FROM fieldseal.data_keys',
    'DELETE FROM fieldseal.key_wraps',
    'UPDATE fieldseal.key_wraps SET kek = kek',
    'UPDATE fieldseal.data_keys SET application = application',
    'UPDATE fieldseal.data_keys SET commitment = commitment',
    'ALTER TABLE fieldseal.key_events DISABLE TRIGGER ALL',
  ])('may not: %s', async (statement) => {
    await expect(sqlAs(manager, statement)).rejects.toThrow(/permission denied|must be owner/);
  });
});

test.each([
  'DELETE FROM fieldseal.key_events',
  'UPDATE fieldseal.key_events SET why = why',
  'TRUNCATE fieldseal.key_events',
])('not even the owner of the tables may: %s', async (statement) => {
  await expect(database.query(statement)).rejects.toThrow('key events are append-only');
});

test('a role without grants is denied, with the place that lists them', async () => {
  await as(stranger, async (store) => {
    for (const call of [() => store.start(), () => store.list(SCOPE)]) {
      const error = await expectCode(call(), 'ERR_STORE_DENIED');
      expect(error.message).toContain('storeGrants()');
    }
  });
});

describe('storeGrants', () => {
  const odd = `o'dd"\\role_${suffix}`;
  beforeEach(() => database.query(`DROP ROLE IF EXISTS "${odd.replaceAll('"', '""')}"`));

  test('quotes names, so that they stay names', async () => {
    await database.query(`CREATE ROLE "${odd.replaceAll('"', '""')}"`);
    const application = `sh'op\\'; DROP SCHEMA fieldseal CASCADE; --`;
    const sql = storeGrants({ role: odd, application, access: 'manage' });
    await database.query(sql);
    await database.query(sql);
    const rows = await database.query('SELECT application FROM fieldseal.role_applications WHERE role = $1', [
      odd,
    ]);
    expect(rows).toEqual([{ application }]);
    await database.query(`DROP OWNED BY "${odd.replaceAll('"', '""')}"`);
    await database.query(`DROP ROLE "${odd.replaceAll('"', '""')}"`);
  });

  test('refuses unknown kinds of access', () => {
    const options = { role: 'r', application: 'a', access: 'delete' } as unknown as Parameters<
      typeof storeGrants
    >[0];
    expect(() => storeGrants(options)).toThrow(/access: expected one of 'read', 'manage'/);
  });
});

function urlOf(role: string | undefined): string {
  const url = new URL(database.url);
  [url.username, url.password] = [role ?? '', 'test'];
  return url.href;
}

async function as(role: string | undefined, work: (store: KeyStore) => Promise<void>): Promise<void> {
  const store = postgresKeyStore({ connectionString: urlOf(role) });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

async function sqlAs(
  role: string | undefined,
  ...statements: readonly string[]
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: urlOf(role) });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) ({ rows } = await client.query<Record<string, unknown>>(statement));
    return rows;
  } finally {
    await client.end();
  }
}

async function rowCounts(
  role: string | undefined,
  setting: string,
): Promise<Record<string, unknown> | undefined> {
  const count = (table: string): string => `(SELECT count(*)::int FROM fieldseal.${table}) AS ${table}`;
  const [counts] = await sqlAs(
    role,
    setting,
    `SELECT ${['data_keys', 'key_wraps', 'key_events'].map(count).join(', ')}`,
  );
  return counts;
}
