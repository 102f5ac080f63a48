import { Pool } from 'pg';
import { describe, expect, test } from 'vitest';
import { migrateKeyStore, postgresKeyStore, type PostgresKeyStoreOptions } from '../../src/store/postgres.js';

const connectionString = 'postgres://user:the-password@127.0.0.1:1/database';

describe('postgresKeyStore refuses', () => {
  test.each<[string, unknown, RegExp]>([
    ['neither a connection string nor a pool', {}, /expected either connectionString or pool, got neither/],
    ['both', { connectionString, pool: new Pool() }, /expected either connectionString or pool, got both/],
    ['an unset variable', { connectionString: undefined }, /got neither/],
    [
      'an empty connection string',
      { connectionString: '' },
      /connectionString: expected a PostgreSQL connection string/,
    ],
    ['a URL object', { connectionString: new URL(connectionString) }, /connectionString: .* got an object/],
    ['something else as a pool', { pool: {} }, /pool: expected a pg.Pool/],
    ['an unknown option', { connectionString, shema: 'x' }, /shema: .*did you mean 'schema'/],
    ['no connections at all', { connectionString, max: 0 }, /max: expected a whole number from 1/],
    ['a time that is none', { connectionString, lockTimeout: 'soon' }, /lockTimeout: expected a duration/],
    ['no time at all', { connectionString, statementTimeout: 0 }, /statementTimeout: expected a duration/],
    ['no options', undefined, /got neither/],
  ])('%s', (_, options, message) => {
    expect(() => postgresKeyStore(options as PostgresKeyStoreOptions)).toThrow(message);
    expect(() => postgresKeyStore(options as PostgresKeyStoreOptions)).not.toThrow('the-password');
  });
});

test.each(['Upper', 'with"quote', "with'quote", '1st', '', 'a'.repeat(41), 'public; DROP'])(
  'the schema name %j is refused before anything is opened',
  async (schema) => {
    expect(() => postgresKeyStore({ connectionString, schema })).toThrow(/schema: expected a schema name/);
    await expect(migrateKeyStore({ connectionString, schema })).rejects.toThrow(
      /schema: expected a schema name/,
    );
  },
);

test('a store opens nothing before its first use', async () => {
  const store = postgresKeyStore({ connectionString });
  await store.close();
});
