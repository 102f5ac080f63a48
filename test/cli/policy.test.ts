/** `fieldseal policy` as a process: its formats, its errors, and that it tells no secret. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleScript } from '@fieldseal/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/policy/documents.js';
import { runCli, type Finished } from './cli-process.js';

type Bundle = Awaited<ReturnType<typeof bundleScript>>;

let cli: Bundle;
let config: Bundle;
let folder: string;
const outputs: string[] = [];

beforeAll(async () => {
  const bundle = (path: string) => bundleScript(fileURLToPath(new URL(path, import.meta.url)));
  [cli, config] = await Promise.all([bundle('../../src/cli/main.ts'), bundle('policy-config.ts')]);
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-policy-'));
});
afterAll(() => {
  cli.remove();
  config.remove();
  rmSync(folder, { recursive: true });
  expect(outputs.join('\n')).not.toContain('a-secret-of-the-configuration');
});

async function policy(...args: string[]): Promise<Finished> {
  const finished = await runCli(cli.file, ['policy', ...args]);
  outputs.push(finished.stdout, finished.stderr);
  return finished;
}

/** Of the whole configuration. */
async function print(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await policy('--config', config.file, ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

interface Documents {
  readonly keyPolicies?: Readonly<Record<string, PolicyDocument>>;
  readonly identityPolicies: Readonly<Record<string, PolicyDocument>>;
}

describe('fieldseal policy', () => {
  it('prints one JSON object with a policy a key and a policy a tier, the same each time', async () => {
    const text = await print();
    expect(await print('--format', 'json')).toBe(text);
    const { keyPolicies, identityPolicies } = JSON.parse(text) as Documents;
    const names = ['card', 'mac', 'pii', 'reports'];
    expect(
      Object.keys(keyPolicies!)
        .map((arn) => arn.replace(/.*\//, ''))
        .sort(),
    ).toEqual(names);
    expect(Object.keys(identityPolicies)).toEqual([
      'web',
      'payment',
      'key-service',
      'rewrap',
      'administrators',
    ]);
  });

  it.each(['web', 'payment', 'key-service', 'rewrap', 'administrators'])(
    'prints the policy of the tier %s alone, without key policies',
    async (tier) => {
      const all = JSON.parse(await print()) as Documents;
      expect(JSON.parse(await print('--tier', tier))).toEqual({
        identityPolicies: { [tier]: all.identityPolicies[tier] },
      });
    },
  );

  it('prints SQL that names its databases, and asks none', async () => {
    const text = await print('--format', 'sql');
    expect(text.match(/^-- .*/gmu)).toEqual([
      "-- Grants in the application's database, run by the owner of its tables",
      '-- The web tier.',
      '-- The payment tier.',
      '-- Grants in the database of the key store, run by the owner of its tables',
      '-- The payment tier.',
      '-- The key service.',
    ]);
    expect(text).toContain('GRANT INSERT ON "cards" TO "shop_web";');
    const ofWeb = await print('--format', 'sql', '--tier', 'web');
    expect(ofWeb).not.toContain('shop_payment');
    expect(ofWeb).not.toContain('key store');
  });

  it('prints SQL of one database alone', async () => {
    const [application, keyStore] = await Promise.all(
      ['application', 'key-store'].map((name) => print('--format', 'sql', '--database', name)),
    );
    expect(`${application!}\n${keyStore!}`).toBe(await print('--format', 'sql'));
    expect(application).toMatch(/^-- Grants in the application's database/u);
    expect(keyStore).toMatch(/^-- Grants in the database of the key store/u);
    const ofPayment = await print('--format', 'sql', '--database', 'key-store', '--tier', 'payment');
    expect(keyStore).toContain(/-- The payment tier\.\n.*\n/u.exec(ofPayment)![0]);
    expect(ofPayment).not.toContain('shop_keys');
  });

  it.each([
    [['--tier', 'rewrap'], '-- No grants: the tier rewrap needs none.\n'],
    [
      ['--tier', 'web', '--database', 'key-store'],
      '-- No grants: the tier web needs none in the database of the key store.\n',
    ],
    [
      ['--tier', 'key-service', '--database', 'application'],
      "-- No grants: the tier key-service needs none in the application's database.\n",
    ],
  ])('says where there is no SQL: %j', async (args, text) => {
    expect(await print('--format', 'sql', ...args)).toBe(text);
  });

  it('prints Terraform, whole or for a tier', async () => {
    expect((await print('--format', 'terraform')).match(/^resource/gmu)).toHaveLength(4 + 2 * 5);
    const own = await print('--format', 'terraform', '--tier', 'rewrap');
    expect(own.match(/^resource .*/gmu)).toEqual([
      'resource "aws_iam_policy" "fieldseal_shop_production_rewrap" {',
      'resource "aws_iam_policy_attachment" "fieldseal_shop_production_rewrap" {',
    ]);
  });

  it('prints everything under headings', async () => {
    const text = await print('--format', 'all');
    expect(text.match(/^# (?!Resource).*/gmu)).toEqual([
      ...['card', 'mac', 'pii', 'reports'].map(
        (name) => `# KMS key policy of arn:aws:kms:eu-central-1:111122223333:key/${name}`,
      ),
      ...['web', 'payment', 'key-service', 'rewrap', 'administrators'].map(
        (tier) => `# IAM policy of the tier ${tier}`,
      ),
      "# Grants in the application's database, run by the owner of its tables",
      '# Grants in the database of the key store, run by the owner of its tables',
      '# Terraform',
    ]);
  });
});

describe('fieldseal policy fails in one line', () => {
  const good = `export const options = { application: 'shop', environment: 'test', purposes: { a: { delivery: 'envelope' } } };
    export const tiers = { keks: { a: ['arn:aws:kms:eu-central-1:111122223333:key/a'] }, principals: {
      payment: 'arn:aws:iam::111122223333:role/p', administrators: 'arn:aws:iam::111122223333:role/a',
      web: 'arn:aws:iam::111122223333:role/w' }, database: { roles: { web: 'w' } } };\n`;

  it.each<[string, string, readonly string[], RegExp]>([
    [
      'throws',
      `throw new TypeError('a-secret-of-the-configuration');`,
      [],
      /failed while it was loaded \(TypeError\)/,
    ],
    ['throws no error', `throw 'a-secret-of-the-configuration';`, [], /\(unknown error\)/],
    ['lacks a package', `import 'no-such-package-here';`, [], /\(ERR_MODULE_NOT_FOUND\)/],
    ['is no JavaScript', 'a-secret-of-the-configuration (', [], /\(SyntaxError\)/],
    ['exports no options', '', [], /options: expected an object, got nothing/],
    ['exports no tiers', good.replace('export const tiers', 'const tiers'), [], /tiers: expected/],
    ['names no web principal', good.replace(/web: 'arn[^']*'/, ''), [], /tiers\.principals\.web: expected/],
    ['exports no data source', good, ['--format', 'sql'], /dataSource: expected/],
    ['exports another data source', `${good}export const dataSource = {};`, [], /dataSource: expected/],
    ['has no roles', good.replace(/database: .*? } }/, ''), ['--format', 'sql'], /tiers\.database: expected/],
    [
      'has entities that cannot be read',
      `import { DataSource } from 'typeorm'; ${good} export const dataSource = new DataSource({ type: 'postgres', entities: [class A {}, './no/such/*.js'], url: 'postgres://u:a-secret-of-the-configuration@127.0.0.1:1/d' });
       dataSource.buildMetadatas = () => { throw new Error('a-secret-of-the-configuration'); };`,
      [],
      /dataSource: its entities cannot be read \(Error\)/,
    ],
  ])('where the module %s', async (_what, text, args, message) => {
    // Beside the bundles, so that it finds the packages of this checkout.
    const file = `${config.file.replace(/\.mjs$/, '')}-${outputs.length}.mjs`;
    writeFileSync(file, text);
    try {
      const { code, stdout, stderr } = await policy('--config', file, ...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^ERR_CONFIG_OPTION: [^\n]+\n$/);
      expect(stderr).toMatch(message);
    } finally {
      rmSync(file);
    }
  });

  it('where there is no module, with the path that was tried', async () => {
    const { code, stderr } = await policy('--config', join(folder, 'none.mjs'));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ERR_CONFIG_OPTION: --config: expected a module, there is no file \/[^\n]*none\.mjs\.\n$/,
    );
    const byDefault = await policy();
    expect(byDefault.stderr).toMatch(/fieldseal\.config\.mjs/);
  });

  it('but not for want of a data source, where it is asked for the key store alone', async () => {
    const file = `${config.file.replace(/\.mjs$/, '')}-key-store.mjs`;
    writeFileSync(file, good);
    try {
      const { code, stdout } = await policy('--config', file, '--format', 'sql', '--database', 'key-store');
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: '-- No grants: no tier needs any in the database of the key store.\n',
      });
    } finally {
      rmSync(file);
    }
  });

  it.each([
    [['--format', 'yaml']],
    [['--tier', 'nobody']],
    [['--format', 'sql', '--database', 'shop']],
    [['--database', 'application']],
    [['surplus']],
  ])('with code 2, called as %j', async (args) => {
    const { code, stdout, stderr } = await policy(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trimEnd()).not.toContain('\n');
  });
});
