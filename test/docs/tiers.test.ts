/** docs/tiers.md: its programs on the packed package, under the roles and policies that it names. */
import { join } from 'node:path';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { newMacKey } from '../kms/mac-key.js';
import { packProject, type PackedProject } from '../package/packed-project.js';
import { startScript } from '../support/index.mjs';
import { blocks, readDocument, tableUnder } from './document.js';

const text = readDocument('tiers.md');
const CREATE_TABLE =
  "CREATE TABLE cards (id uuid PRIMARY KEY, status text NOT NULL DEFAULT 'new', pan bytea NOT NULL, pan_key uuid NOT NULL, pan_mask varchar(32) NOT NULL)";
const ROLES = ['shop_web', 'shop_payment'];

let project: PackedProject;
let database: FreshDatabase;
let kms: KmsEmulator;
let arns: readonly string[];
let macKey: string;

beforeAll(async () => {
  const allow = (name: string, i: number, ...Action: string[]) => ({
    name,
    accessKeyId: `TIERSDOCUMENT000${i}`,
    secretAccessKey: 'a-secret-of-the-tests-only',
    policy: { Statement: [{ Effect: 'Allow' as const, Action, Resource: '*' }] },
  });
  const principals = [
    allow('admin', 0, 'kms:*'),
    allow('web', 1, 'kms:GenerateDataKey'),
    allow('payment', 2, 'kms:Decrypt'),
    allow('indexing', 3, 'kms:GenerateDataKey', 'kms:GenerateMac'),
  ];
  [project, database, kms] = await Promise.all([
    packProject(),
    freshDatabase(),
    startKmsEmulator({ policy: { principals }, unsafeOnPlaintext: recordKey }),
  ]);
  [arns, macKey] = [await makeKeks(), await newMacKey(kms)];
  const [, tsconfig] = /```jsonc\n([\s\S]*?)```/u.exec(readDocument('getting-started.md'))!;
  await project.write('tsconfig.json', tsconfig!);
  for (const program of blocks(text, 'ts')) {
    const [, path] = /^\/\/ (\S+)\n/u.exec(program)!;
    await project.write(path!, program);
  }
  await project.tsc();
  await database.query(CREATE_TABLE);
  for (const role of ROLES) await database.query(`DROP ROLE IF EXISTS ${role}`);
  for (const statement of blocks(text, 'sql')[0]!
    .split(';')
    .filter((sql) => sql.trim() !== ''))
    await database.query(statement);
}, 180_000);

afterAll(async () => {
  for (const role of ROLES) {
    await database.query(`DROP OWNED BY ${role}`);
    await database.query(`DROP ROLE ${role}`);
  }
  await Promise.all([project.remove(), database.drop(), kms.close()]);
});

async function makeKeks(): Promise<readonly string[]> {
  const { region, endpoint } = kms;
  const client = new KMSClient({ region, endpoint, credentials: kms.credentials('admin') });
  const made: string[] = [];
  for (const AliasName of ['alias/card-a', 'alias/card-b']) {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    await client.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyMetadata!.KeyId! }));
    made.push(KeyMetadata!.Arn!);
  }
  client.destroy();
  return made;
}

/** One of the programs, as its tier. */
async function run(name: 'web' | 'payment' | 'indexing'): Promise<string> {
  const url = new URL(database.url);
  [url.username, url.password] = [`shop_${name}`, name];
  const { accessKeyId, secretAccessKey } = kms.credentials(name);
  const program = startScript(join(project.folder, `dist/${name}.js`), [], {
    env: {
      [`${name.toUpperCase()}_DATABASE_URL`]: url.href,
      CARD_KEKS: arns.join(','),
      CARD_MAC_KEY: macKey,
      AWS_ENDPOINT_URL_KMS: kms.endpoint,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    cwd: project.folder,
  });
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trim();
}

describe('the programs', () => {
  it('write and show a card in one tier, and charge it in the other', async () => {
    expect(await run('web')).toBe('1111 undefined');
    const [row] = await database.query('SELECT pan, status FROM cards');
    expect((row!.pan as Buffer)[1]! >> 4).toBe(1);
    expect(await run('payment')).toBe('charging 16 digits');
    expect(await database.query('SELECT status FROM cards')).toEqual([{ status: 'charged' }]);
  }, 60_000);

  it('have indexes made by the KMS, with the two rights of such a tier', async () => {
    expect(await run('indexing')).toBe('indexes are made by the KMS');
    const asked = kms.audit().flatMap(({ principal, event }) => (principal === 'indexing' ? [event] : []));
    expect(asked.filter((event) => event === 'GenerateMac')).toHaveLength(1);
  }, 60_000);
});

it('has every kind of access once', () => {
  const named = tableUnder(text, '## Access').map(([access]) => /'([a-z-]+)'/u.exec(access!)![1]);
  expect(named).toEqual(['read-write', 'write-only', 'read-only']);
});
