/** docs/policies.md: its configuration, commands and output on the packed package, its tables against the code. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsDocuments } from '../../src/policy/documents.js';
import { parseSettings, TIERS } from '../../src/policy/settings.js';
import { packProject, type PackedProject } from '../package/packed-project.js';
import { blocks, readDocument, tableUnder } from './document.js';

const text = readDocument('policies.md');
const [commands] = blocks(text, 'sh') as [string];
const [entity] = blocks(text, 'ts') as [string];
const [config] = blocks(text, 'js') as [string];

describe('the tables', () => {
  it('have every tier once', () => {
    expect(tableUnder(text, '## The tiers').map(([tier]) => tier)).toEqual([...TIERS]);
  });

  it('list the actions of each tier, for purposes of every delivery and index', () => {
    const arn = (name: string): string => `arn:aws:kms:eu-central-1:111122223333:key/${name}`;
    const purposes = {
      a: { delivery: 'envelope', index: 'kms' },
      b: { delivery: 'sealed', index: 'later' },
      c: { index: 'kms' },
    };
    const principals = Object.fromEntries(
      ['app', 'web', 'payment', 'keyService', 'rewrap', 'administrators'].map((name) => [
        name,
        `arn:aws:iam::111122223333:role/${name}`,
      ]),
    );
    const keks = { a: [arn('a')], b: [arn('b')], c: [arn('c')] };
    const { identityPolicies } = awsDocuments(
      parseSettings(
        { application: 'shop', environment: 'test', purposes },
        { keks, macKeys: { a: arn('m'), c: arn('n') }, principals },
      ),
    );
    const shown = tableUnder(text, '## What the KMS allows').map(([tier, actions]) => [
      tier,
      actions!.split(', ').sort(),
    ]);
    expect(shown).toEqual(
      [...identityPolicies].map(([tier, { Statement }]) => [
        tier,
        [...new Set(Statement.flatMap(({ Action }) => Action))].sort(),
      ]),
    );
  });
});

describe('the example', () => {
  let project: PackedProject;
  let printed: string;

  beforeAll(async () => {
    project = await packProject();
    for (const file of [entity, config]) await project.write(/^\/\/ (\S+)\n/u.exec(file)![1]!, file);
    const flags = ['--module', 'nodenext', '--target', 'es2022', '--strict', '--skipLibCheck'];
    const decorators = [
      '--experimentalDecorators',
      '--emitDecoratorMetadata',
      '--useDefineForClassFields',
      'false',
    ];
    await project.tsc(
      ...flags,
      ...decorators,
      '--types',
      'node',
      '--outDir',
      'dist',
      '--rootDir',
      'src',
      'src/card.ts',
    );
    printed = await shell(commands);
  }, 180_000);
  afterAll(() => project.remove());

  const shell = async (script: string): Promise<string> => {
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-euc', script], {
      cwd: project.folder,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, npm_config_update_notifier: 'false' },
      maxBuffer: 16 << 20,
    });
    return stdout;
  };
  const file = (name: string): Promise<string> => readFile(join(project.folder, name), 'utf8');

  it('gives the policy of the web tier that is shown', async () => {
    const [shown] = blocks(text, 'json') as [string];
    const [, command] = /^`(npx fieldseal policy [^`]*)` prints:\n\n```json/mu.exec(text)!;
    expect(await shell(command!)).toBe(shown);
    expect(commands).toContain(`${command!}\n`);
  });

  it('gives the grants of the web tier that are shown', async () => {
    const [command] = /npx fieldseal policy --format sql --tier web/u.exec(text)!;
    const [shown] = blocks(text, 'sql') as [string];
    expect(await shell(command)).toBe(shown);
    expect(await file('grants.sql')).toContain(shown.slice(shown.indexOf('REVOKE'), shown.indexOf('COMMIT')));
  });

  it('gives the grants of each database in a file of its own', async () => {
    const [application, keyStore] = await Promise.all([file('grants.sql'), file('key-store-grants.sql')]);
    expect(await shell('npx fieldseal policy --format sql')).toBe(`${application}\n${keyStore}`);
    expect(keyStore.split('\n')[0]).toBe(
      /`(-- Grants in the database of the key store[^`]*)`/u.exec(text)![1],
    );
  });

  it('gives all documents in every format', async () => {
    const policies = JSON.parse(await file('policies.json')) as Record<string, object>;
    expect(Object.keys(policies)).toEqual(['keyPolicies', 'identityPolicies']);
    expect(Object.keys(policies.keyPolicies!)).toHaveLength(3);
    const terraform = await file('fieldseal-policies.tf');
    expect(printed).toContain(terraform);
    expect(printed).toContain(
      await file('grants.sql').then((sql) => sql.slice(sql.indexOf('BEGIN'), sql.indexOf('COMMIT'))),
    );
  });
});
