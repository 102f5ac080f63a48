/** A clone in which nothing was installed or built yet: the first command does what is missing. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fieldseal-clone-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

async function npm(cwd: string, ...args: string[]): Promise<Ran> {
  // npm passes its own settings on to the scripts that it runs; a nested npm must not take them over.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)));
  return promisify(execFile)('npm', args, { cwd, env, maxBuffer: 16 << 20 });
}

const copy = (...paths: readonly string[]): Promise<unknown> =>
  Promise.all(paths.map((path) => cp(join(root, path), join(folder, path), { recursive: true })));

it('is built by npm pack', async () => {
  await copy(
    'src',
    'tools',
    'docs',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsdown.config.ts',
  );
  // All that is installed here, without the stamps of what was built here.
  await mkdir(join(folder, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name.startsWith('.fieldseal-')) continue;
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  await npm(folder, 'pack');
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const { stdout } = await promisify(execFile)('tar', ['-tf', tarball!], { cwd: folder });
  expect(stdout.split('\n')).toEqual(
    expect.arrayContaining(['package/dist/index.mjs', 'package/dist/cli/main.mjs', 'package/package.json']),
  );
}, 120_000);

describe('what is locked is installed before anything needs it', () => {
  beforeEach(async () => {
    await mkdir(join(folder, 'dependency'));
    await writeFile(join(folder, 'dependency/package.json'), '{ "name": "dependency", "version": "1.0.0" }');
    await npm(join(folder, 'dependency'), 'pack', '--pack-destination', folder);
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: object };
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', scripts }));
    await npm(folder, 'install', '--package-lock-only', '--no-audit', './dependency-1.0.0.tgz');
    await copy('tools', 'test/support');
  });

  it.each([
    ['example', /Installing the locked dependencies[^]*Building …/u],
    ['demo', /Installing the locked dependencies[^]*Building …/u],
    ['test', /Installing the locked dependencies/u],
  ])(
    'by npm run %s',
    async (script, said) => {
      // There are no sources to build.
      const failed = (await npm(folder, 'run', script).catch((error: unknown) => error)) as Ran;
      expect(failed.stdout).toMatch(said);
      expect(failed.stderr).not.toMatch(/ERR_MODULE_NOT_FOUND/u);
      expect(existsSync(join(folder, 'node_modules/dependency/package.json'))).toBe(true);
    },
    60_000,
  );
});
