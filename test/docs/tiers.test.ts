/** docs/tiers.md: its programs on the packed package, under the roles and policies that it names. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import type { EmulatorPolicy } from '../../src/kms/emulator/policy-file.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { newMacKey } from '../kms/mac-key.js';
import { packProject, type PackedProject } from '../package/packed-project.js';
import { startScript } from '../support/index.mjs';
import { blocks, readDocument, tableUnder } from './document.js';
import { linkBinaries, printed, runShell, startShell, stopShell } from './terminal.js';

const text = readDocument('tiers.md');
const [devKms, environment, makeTable, runPrograms] = blocks(text, 'sh') as [string, string, string, string];
const ROLES = ['shop_web', 'shop_payment'];

let project: PackedProject;
let database: FreshDatabase;
let kms: KmsEmulator;
let arns: readonly string[];
let macKey: string;
/** What a reader runs, in a terminal of its own, and what it printed. */
let terminal: ChildProcess;
let introduction: string;

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
  await project.write('kms-policy.json', blocks(text, 'json')[0]!);
  await linkBinaries(project);
  terminal = startShell(project, devKms.replace('dev-kms', 'dev-kms --port 0'));
  introduction = await printed(terminal, /Stop with/u);
  await shell(makeTable);
  for (const role of ROLES) await database.query(`DROP ROLE IF EXISTS ${role}`);
  for (const statement of blocks(text, 'sql')[0]!
    .split(';')
    .filter((sql) => sql.trim() !== ''))
    await database.query(statement);
}, 180_000);

afterAll(async () => {
  await stopShell(terminal);
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

/** The exports of the document, with what it says that they are on this machine. */
function here(): string {
  const url = new URL(database.url);
  const arnOf = (alias: string): string =>
    new RegExp(`^${alias} {2}(arn:\\S+)$`, 'mu').exec(introduction)![1]!;
  return environment
    .replace(/http:\/\/127\.0\.0\.1:4599/u, /KMS emulator: (\S+)/u.exec(introduction)![1]!)
    .replaceAll(/<ARN of (alias\/[a-z-]+)>/gu, (_all, alias: string) => arnOf(alias))
    .replaceAll('localhost:5432/shop', `${url.host}${url.pathname}`)
    .replace(/postgres:postgres@/u, `${url.username}:${url.password}@`);
}

function shell(commands: string): Promise<{ stdout: string; stderr: string }> {
  return runShell(project, `${here()}\n${commands}`);
}

beforeEach(() => database.query('DELETE FROM cards'));

describe('the programs, tried as the document says', () => {
  it('write a card as one principal, charge it as another, and have an index made', async () => {
    const { stdout, stderr } = await shell(runPrograms);
    expect({ stdout, stderr }).toEqual({
      stdout: '1111 undefined\ncharging 16 digits\nindexes are made by the KMS\n',
      stderr: '',
    });
    expect(await database.query('SELECT status FROM cards')).toEqual([{ status: 'charged' }]);
  }, 60_000);

  it('refuse to start with the rights of somebody else', async () => {
    const [web, payment] = runPrograms.split('\n') as [string, string];
    const as = (other: string, program: string): string => other.replace(/node dist\/\w+\.js/u, program);
    await expect(shell(as(payment, 'node dist/web.js'))).rejects.toThrow('ERR_KMS_DENIED');
    const you = web.replace(/AWS_ACCESS_KEY_ID=\S+ AWS_SECRET_ACCESS_KEY=\S+/u, credentialsOf('you'));
    await expect(shell(you)).rejects.toThrow('ERR_KMS_TOO_MUCH_PRIVILEGE');
  }, 60_000);

  it('are told where fillBlindIndexes is', async () => {
    const [, path] = /`fillBlindIndexes` comes from `([^`]+)`/u.exec(text)!;
    await project.node(['-e', `if (!require('${path!}').fillBlindIndexes) process.exit(1)`]);
  });
});

function credentialsOf(name: string): string {
  const { principals } = JSON.parse(blocks(text, 'json')[0]!) as EmulatorPolicy;
  const { accessKeyId, secretAccessKey } = principals.find((one) => one.name === name)!;
  return `AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey}`;
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
