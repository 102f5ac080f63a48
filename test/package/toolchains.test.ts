/** The packed package under the test runners and bundlers that applications are built with. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKmsEmulator, type KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { migrateKeyStore } from '../../src/store/postgres.js';
import { recordKey } from '../canary.js';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { packProject, readRepositoryFile, type PackedProject } from './packed-project.js';

/** A project of its own, so that nobody else installs them. */
const toolchains = fileURLToPath(new URL('toolchains/', import.meta.url));
const ensureInstall = fileURLToPath(new URL('../../tools/ensure-install.mjs', import.meta.url));
const { resolve } = createRequire(join(toolchains, 'package.json'));

let project: PackedProject;
let kms: KmsEmulator;
let databases: readonly FreshDatabase[];
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  await promisify(execFile)(process.execPath, [ensureInstall, toolchains]);
  const createKeys = ['alias/card-a', 'alias/card-b'];
  [project, kms] = await Promise.all([
    packProject(),
    startKmsEmulator({ createKeys, unsafeOnPlaintext: recordKey }),
  ]);
  const [keys, shop] = await Promise.all([freshDatabase(), freshDatabase()]);
  databases = [keys, shop];
  await migrateKeyStore({ connectionString: keys.url });
  await project.write('shop.ts', await readRepositoryFile('test/package/toolchains/shop.ts'));
  await project.write('main.ts', "import { sellOne } from './shop';\nvoid sellOne().then(console.log);\n");
  const { accessKeyId, secretAccessKey } = kms.credentials();
  env = {
    KEY_STORE_URL: keys.url,
    DATABASE_URL: shop.url,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
}, 600_000);
afterAll(() => Promise.all([project.remove(), kms.close(), ...databases.map((database) => database.drop())]));

const SOLD = '4111111111111111 of Ada, shared, in a cell that begins with f5';

const SPEC = `
import { sellOne } from '../shop';

it('saves, updates and finds', async () => {
  expect(await sellOne()).toBe('${SOLD}');
}, 30_000);
`;

const TRANSFORMERS: readonly (readonly [string, object])[] = [
  ['ts-jest', { tsconfig: { experimentalDecorators: true, module: 'commonjs', isolatedModules: true } }],
  [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true } } },
  ],
];

async function jest(transformer: string, options: object, spec: string): Promise<string> {
  const folder = transformer.replaceAll(/\W/gu, '');
  const config = {
    rootDir: '..',
    testMatch: [`<rootDir>/${folder}/*.spec.ts`],
    testEnvironment: 'node',
    // Nest's default takes JavaScript along.
    transform: { '^.+\\.(t|j)s$': [resolve(transformer), options] },
  };
  await project.write(`${folder}/jest.config.json`, JSON.stringify(config));
  await project.write(`${folder}/shop.spec.ts`, spec);
  const args = ['--ci', '--runInBand', '--config', `${folder}/jest.config.json`];
  const { stderr } = await project.node([join(toolchains, 'node_modules/jest/bin/jest.js'), ...args], env);
  return stderr;
}

describe('an application', () => {
  it.each(TRANSFORMERS)(
    'runs in Jest through %s',
    async (transformer, options) => {
      expect(await jest(transformer, options, SPEC)).toContain('1 passed');
    },
    60_000,
  );

  it.each(['esbuild-cjs', 'esbuild-esm', 'swc', 'webpack'])(
    'runs built by %s',
    async (tool) => {
      await project.node([join(toolchains, 'build.mjs'), tool, project.folder]);
      expect((await project.node([`${tool}/main.js`], env)).stdout).toBe(`${SOLD}\n`);
    },
    60_000,
  );
});

const USE = `
await awsKms({ region: 'eu-central-1', keks: { p: ['alias/a', 'alias/b'] } }).start(['p'], () => undefined).catch(tell);
await postgresKeyStore({ connectionString: 'postgres://me@127.0.0.1:1/keys' }).start().catch(tell);
function tell({ code, message, cause }) { console.log(code, message, '<-', cause.message.split('\\n')[0]); }
`;
const PROGRAMS = [
  [
    'peers.mjs',
    `import { awsKms } from 'fieldseal/aws-kms';\nimport { postgresKeyStore } from 'fieldseal/postgres';\n${USE}`,
  ],
  [
    'peers.cjs',
    `const { awsKms } = require('fieldseal/aws-kms'), { postgresKeyStore } = require('fieldseal/postgres');
     void (async () => { ${USE} })();`,
  ],
] as const;
const PEERS = ['@aws-sdk/client-kms', 'pg'] as const;

describe.each(PROGRAMS)('an optional peer of %s', (name, program) => {
  beforeAll(() => project.write(name, program));
  afterAll(() => Promise.all(PEERS.map((peer) => project.use(peer, peer))));

  it('that is not installed is said to be missing', async () => {
    await Promise.all(PEERS.map((peer) => project.use(peer)));
    const lines = (await project.node([name])).stdout.split('\n');
    PEERS.forEach((peer, i) => {
      expect(lines[i]).toMatch(/^ERR_CONFIG_PEER_MISSING/u);
      expect(lines[i]).toContain(`npm install ${peer}`);
    });
  });

  it.each([
    ['lacks a package of its own', 'require("somebody-elses");', "module 'somebody-elses'"],
    ['throws', 'throw new Error("no such processor");', 'no such processor'],
    ['is not what its package.json says', undefined, 'index.js'],
  ])('that is installed and %s is not, and the error keeps its cause', async (_, code, cause) => {
    for (const peer of PEERS) {
      await project.use(peer);
      await project.write(`node_modules/${peer}/package.json`, '{ "main": "index.js" }');
      if (code !== undefined) await project.write(`node_modules/${peer}/index.js`, code);
    }
    const lines = (await project.node([name])).stdout.split('\n');
    PEERS.forEach((peer, i) => {
      expect(lines[i]).toMatch(/^ERR_CONFIG_PEER_FAILED/u);
      expect(lines[i]).toContain(`package ${peer}`);
      expect(lines[i]).toContain(cause);
    });
  });
});
