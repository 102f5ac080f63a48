/** docs/nestjs.md: its files are compiled against the packed package, its program runs until it gets a signal. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { packProject, readRepositoryFile, type PackedProject } from '../package/packed-project.js';
import { startScript } from '../support/index.mjs';
import { blocks, readDocument } from './document.js';

const text = readDocument('nestjs.md');
const PAN = '4929123456789015';

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
  for (const program of blocks(text, 'ts')) {
    const [, path] = /^\/\/ (\S+)\n/u.exec(program)!;
    await project.write(path!, program);
  }
  await project.tsc();
}, 180_000);

afterAll(() => Promise.all([project.remove(), shop.drop(), keys.drop(), kms.close()]));

it('installs every package of Nest that fieldseal has for a peer', async () => {
  const { peerDependencies } = JSON.parse(await readRepositoryFile('package.json')) as {
    peerDependencies: Record<string, string>;
  };
  const installed = blocks(text, 'sh')[0]!.trim().split(' ');
  const peers = Object.keys(peerDependencies).filter((name) => name.startsWith('@nestjs/'));
  expect(installed).toEqual(expect.arrayContaining(peers));
});

it('has a program that seals, finds, and ends at a signal', async () => {
  const { accessKeyId, secretAccessKey } = kms.credentials();
  const env = {
    PORT: '0',
    DATABASE_URL: shop.url,
    KEY_STORE_URL: keys.url,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const program = startScript(join(project.folder, 'dist/main.js'), [], { env, cwd: project.folder });
  const url = (await program.line('listening on ')).slice('listening on '.length);

  const { id } = await post(`${url}/cards`);
  expect(await post(`${url}/cards/search`)).toEqual({ id, lastFour: PAN.slice(-4) });
  const [row] = await shop.query('SELECT pan FROM cards WHERE id = $1', [id]);
  expect((row!.pan as Buffer)[0]).toBe(0xf5);

  program.kill('SIGTERM');
  expect(await program.ended).toMatchObject({ signal: 'SIGTERM', stderr: '' });
}, 60_000);

async function post(url: string): Promise<Record<string, string>> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ pan: PAN }) });
  return (await response.json()) as Record<string, string>;
}
