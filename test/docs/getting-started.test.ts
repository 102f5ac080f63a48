/** docs/getting-started.md, followed from top to bottom: its files are written, its commands run by a shell. */
import type { ChildProcess } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../database.js';
import { packProject, readRepositoryFile, type PackedProject } from '../package/packed-project.js';
import { blocks, readDocument } from './document.js';
import { linkBinaries, printed, runShell, startShell, stopShell } from './terminal.js';

const text = readDocument('getting-started.md');

const [install, devKms, environment, migrate, makeTable, runProgram] = blocks(text, 'sh') as [
  string,
  string,
  string,
  string,
  string,
  string,
];
/** Stands in the document; the test takes any free port. */
const PORT = '4599';

let project: PackedProject;
let shop: FreshDatabase;
let keys: FreshDatabase;
let kms: ChildProcess;
let port: string;

beforeAll(async () => {
  [project, shop, keys] = await Promise.all([packProject(), freshDatabase(), freshDatabase()]);
  await linkBinaries(project);
  for (const [, language, path, content] of text.matchAll(
    /^ *```(tsc?|jsonc)\n *\/\/ (\S+)\n([\s\S]*?)^ *```/gmu,
  )) {
    await project.write(path!, language === 'jsonc' ? `// ${path!}\n${content!}` : content!);
  }
  kms = startShell(project, devKms.replace('dev-kms', 'dev-kms --port 0'));
  const address = /KMS emulator: http:\/\/127\.0\.0\.1:(\d+)/u;
  port = address.exec(await printed(kms, address))![1]!;
}, 180_000);

afterAll(async () => {
  await stopShell(kms);
  await Promise.all([project.remove(), shop.drop(), keys.drop()]);
});

describe('docs/getting-started.md', () => {
  it('installs the package with its peers, and what TypeScript needs', async () => {
    const { peerDependencies } = JSON.parse(await readRepositoryFile('package.json')) as {
      peerDependencies: Record<string, string>;
    };
    const installed = install.match(/(?<=npm install ).*/gu)!.flatMap((line) => line.split(' '));
    const expected = [
      'fieldseal',
      ...Object.keys(peerDependencies).filter((name) => !name.startsWith('@nestjs/')),
      'reflect-metadata',
      '--save-dev',
      'typescript',
      '@types/node',
    ];
    expect([...installed].sort()).toEqual(expected.sort());
  });

  it('makes the tables of the key store', async () => {
    expect((await shell(migrate)).stdout).toMatch(/migrated from version 0 to \d+/u);
  });

  it('generates and runs the migration of the table that it describes', async () => {
    await shell(makeTable);
    expect(await readdir(join(project.folder, 'migrations'))).toEqual([
      expect.stringMatching(/-CreateCards\.js$/u),
    ]);
    const columns = await shop.query(
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_name = 'cards' AND column_name LIKE 'pan%' ORDER BY name`,
    );
    expect(columns).toEqual([
      { name: 'pan', type: 'bytea' },
      { name: 'pan_bidx', type: 'bytea' },
      { name: 'pan_key', type: 'uuid' },
    ]);
  }, 60_000);

  it.each(['first', 'second'])(
    'saves, finds and refuses as it says, in the %s run',
    async () => {
      const { stdout, stderr } = await shell(runProgram);
      const shown = blocks(text, 'text')[0]!.trimEnd().replace('…', '[0-9a-f]{128}').split('\n');
      expect(stdout.trimEnd().split('\n')).toEqual(
        shown.map((line) => expect.stringMatching(`^${line}$`) as unknown),
      );
      expect(stderr).toBe('');
    },
    60_000,
  );

  it('prints the rights of a role', async () => {
    expect((await shell('node dist/grants.js')).stdout).toMatch(/GRANT SELECT ON .*"shop_app"/u);
  });
});

/** The reader's second terminal: with the exports of the document, on this machine's port and databases. */
function shell(commands: string): Promise<{ stdout: string; stderr: string }> {
  return runShell(project, `${here(environment)}\n${commands}`);
}

function here(exports: string): string {
  return exports
    .replace(/(?<=DATABASE_URL=).*/u, `'${shop.url}'`)
    .replace(/(?<=KEY_STORE_URL=).*/u, `'${keys.url}'`)
    .replace(PORT, port);
}
