/** docs/from-typeorm-encrypted.md: its programs move rows that typeorm-encrypted 0.8.0 has written. */
import { createCipheriv, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { packProject, type PackedProject } from '../package/packed-project.js';
import { blocks, readDocument } from './document.js';

const KEY = 'e41c966f21f9e1577802463f8924e6a3fe3e9751f201304213b2f845d8841d61';
/** Made by EncryptionTransformer of the package itself, of '4111111111111111' under KEY. */
const KNOWN = {
  'aes-256-cbc': 'HIwAROPpNLdJ/nGaAGJeLa2N/Dp5Zu+h9F9xfWFcq9q8C1Yx8el5UCwKbaaIZKRb',
  'aes-256-gcm': '6TM4knM01dOhmTVQXtxPatbB2IMTzolQWJ9pBuC8E2jL0liIv3xbZiBOtPo=',
};
const ROWS = 1_100;

/** A program around those of the page: opens the DataSource over `entity` and prints what `work` gives. */
const mainOf = (entity: string, imports: string, work: string): string => `
import { createFieldSeal, keyStoreSource } from 'fieldseal';
import { awsKms } from 'fieldseal/aws-kms';
import { postgresKeyStore } from 'fieldseal/postgres';
import { attachFieldSeal } from 'fieldseal/typeorm';
import { DataSource } from 'typeorm';
import { Card } from '${entity}';
${imports}
const seal = await createFieldSeal({
  application: 'shop',
  environment: 'test',
  purposes: { 'card-number': {} },
  keys: keyStoreSource({
    store: postgresKeyStore({ connectionString: process.env.KEY_STORE_URL! }),
    kms: awsKms({ region: 'eu-central-1', keks: { 'card-number': ['alias/card-a', 'alias/card-b'] } }),
  }),
});
const dataSource = await attachFieldSeal(
  new DataSource({ type: 'postgres', url: process.env.DATABASE_URL!, entities: [Card], synchronize: true }),
  seal,
).initialize();
console.log(JSON.stringify({ ${work} }));
await dataSource.destroy();
await seal.close();
`;

const MOVE = mainOf(
  './card.js',
  `import { legacyValue } from './legacy-value.js';
   import { moveCards } from './move.js';
   import { verifyCards } from './verify.js';
   const gcm = legacyValue({ key: process.env.LEGACY_KEY!, algorithm: 'aes-256-gcm', ivLength: 12 });`,
  `gcm: gcm.from(process.env.KNOWN_GCM!), left: (await verifyCards(dataSource)).left.length, moved: await moveCards(dataSource),
   again: await moveCards(dataSource), after: await verifyCards(dataSource)`,
);

const MOVED = mainOf(
  './moved/card.js',
  '',
  `found: await dataSource.getRepository(Card).countBy({ pan: '4111111111111111' }),
   opened: (await dataSource.getRepository(Card).find()).length`,
);

let project: PackedProject;
let shop: FreshDatabase;
let keys: FreshDatabase;
let kms: KmsEmulator;

beforeAll(async () => {
  [project, shop, keys, kms] = await Promise.all([
    packProject(),
    freshDatabase(),
    freshDatabase(),
    startKmsEmulator({ createKeys: ['alias/card-a', 'alias/card-b'], unsafeOnPlaintext: recordKey }),
  ]);
  await migrateKeyStore({ connectionString: keys.url });
  const [, tsconfig] = /```jsonc\n([\s\S]*?)```/u.exec(readDocument('getting-started.md'))!;
  await project.write('tsconfig.json', tsconfig!);
  for (const program of blocks(readDocument('from-typeorm-encrypted.md'), 'ts')) {
    const [, path] = /^\/\/ (\S+)\n/u.exec(program)!;
    await project.write(path!, program);
  }
  await project.write('src/move-all.ts', MOVE);
  await project.write('src/read-moved.ts', MOVED);
  await project.tsc();
}, 180_000);

afterAll(() => Promise.all([project.remove(), shop.drop(), keys.drop(), kms.close()]));

function legacyCell(value: string): string {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', Buffer.from(KEY, 'hex'), iv);
  return Buffer.concat([iv, cipher.update(value), cipher.final()]).toString('base64');
}

async function run(program: string): Promise<unknown> {
  const { accessKeyId, secretAccessKey } = kms.credentials();
  const { stdout } = await project.node([program], {
    DATABASE_URL: shop.url,
    KEY_STORE_URL: keys.url,
    LEGACY_KEY: KEY,
    KNOWN_GCM: KNOWN['aes-256-gcm'],
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  });
  return JSON.parse(stdout);
}

it('moves every row once, and proves it', async () => {
  await shop.query('CREATE TABLE cards (id uuid PRIMARY KEY, pan text)');
  const rows = Array.from({ length: ROWS - 1 }, (_, i) => [randomUUID(), legacyCell(String(4e15 + i))]);
  rows.push([randomUUID(), KNOWN['aes-256-cbc']]);
  await shop.query('INSERT INTO cards (id, pan) SELECT * FROM unnest($1::uuid[], $2::text[])', [
    rows.map(([id]) => id),
    rows.map(([, pan]) => pan),
  ]);
  expect(await run('dist/move-all.js')).toEqual({
    gcm: '4111111111111111',
    left: ROWS,
    moved: ROWS,
    again: 0,
    after: { same: ROWS, changed: [], left: [] },
  });
}, 60_000);

it('opens the cells after the last step, under the name that their context pins', async () => {
  await shop.query('ALTER TABLE cards DROP COLUMN pan');
  for (const suffix of ['', '_key', '_bidx']) {
    await shop.query(`ALTER TABLE cards RENAME COLUMN pan_cell${suffix} TO pan${suffix}`);
  }
  expect(await run('dist/read-moved.js')).toEqual({ found: 1, opened: ROWS });
}, 60_000);
