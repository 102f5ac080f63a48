/** The key store in a database of its own, with a role for the key tier; where cards are sealed to key pairs. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { migrateKeyStore } from 'fieldseal/postgres';
import { LIST_GRANTS } from '../../db/grants.js';
import { execute, urlOf, type LocalDatabases } from './local-databases.js';

export interface LocalKeyStore {
  /** The owner of its tables. */
  readonly admin: string;
  /** What each tier is told of it. */
  readonly environment: Readonly<Record<'web' | 'payment' | 'keys', Readonly<Record<string, string>>>>;
}

/**
 * PostgreSQL lets every role into a new database. Into this one the web tier shall not come: there it could hold the locks
 * under which keys are managed.
 */
const ONLY_ITS_TIERS = [
  'REVOKE CONNECT ON DATABASE keys FROM PUBLIC',
  'GRANT CONNECT ON DATABASE keys TO shop_payment, shop_keys',
];

/** @param grants What `fieldseal policy` prints for the tables of the key store. */
export async function createKeyStore(databases: LocalDatabases, grants: string): Promise<LocalKeyStore> {
  const password = randomBytes(18).toString('base64url');
  const login = { role: 'shop_keys', password };
  const admin = urlOf(databases.admin, { database: 'keys' });
  await execute(
    databases.admin,
    `CREATE ROLE shop_keys LOGIN PASSWORD '${password}'`,
    'CREATE DATABASE keys',
    ...ONLY_ITS_TIERS,
    LIST_GRANTS,
  );
  await migrateKeyStore({ connectionString: admin });
  await execute(admin, grants);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    admin,
    environment: {
      web: { LIST_VERIFICATION_KEY: publicKey },
      payment: { KEY_STORE_URL: urlOf(databases.payment, { database: 'keys' }) },
      keys: {
        DATABASE_URL: urlOf(databases.admin, { ...login, database: 'shop' }),
        KEY_STORE_URL: urlOf(databases.admin, { ...login, database: 'keys' }),
        LIST_SIGNING_KEY: privateKey,
      },
    },
  };
}
