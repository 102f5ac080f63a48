/** The package as a user gets it: built, packed, installed from the tarball into a project of its own. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);

/** Peers and types that a user installs beside the package; linked from this checkout. */
const BESIDE = [
  'typeorm',
  'pg',
  '@types/pg',
  '@types/node',
  'undici-types',
  'reflect-metadata',
  '@aws-sdk/client-kms',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-express',
  '@nestjs/typeorm',
  'typeorm-transactional',
  'rxjs',
];

export interface PackedProject {
  readonly folder: string;
  /** Paths in the tarball. */
  readonly files: readonly string[];
  write(path: string, text: string): Promise<string>;
  /** Runs a program of the project with Node; rejects when it does not end with 0. */
  node(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<{ stdout: string; stderr: string }>;
  /** Links another package of this checkout in the place of an installed one; without one, takes it away. */
  use(name: string, other?: string): Promise<void>;
  tsc(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  remove(): Promise<void>;
}

export async function packProject(): Promise<PackedProject> {
  const folder = await mkdtemp(join(tmpdir(), 'fieldseal-packed-'));
  await node(root, ['tools/ensure-build.mjs']);
  const { stdout } = await npm(root, ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'packed', private: true, type: 'module' }),
  );
  await npm(folder, [
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--legacy-peer-deps',
    `./${packed.filename}`,
  ]);
  for (const name of BESIDE) await link(folder, name);
  return {
    folder,
    files: packed.files.map(({ path }) => path),
    write: async (path, text) => {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      return file;
    },
    node: (args, env) => node(folder, args, env),
    use: async (name, other) => {
      await rm(join(folder, 'node_modules', name), { recursive: true, force: true });
      if (other !== undefined) await link(folder, name, other);
    },
    tsc: (...args) => node(folder, [join(root, 'node_modules/typescript/bin/tsc'), ...args]),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

export const readRepositoryFile = (path: string): Promise<string> => readFile(join(root, path), 'utf8');

async function link(folder: string, name: string, from = name): Promise<void> {
  const path = join(folder, 'node_modules', name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(join(root, 'node_modules', from), path);
}

function node(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return execute(process.execPath, [...args], { cwd, env: { ...process.env, ...env }, maxBuffer: 16 << 20 });
}

function npm(cwd: string, args: readonly string[]) {
  // npm passes its own settings on to the scripts that it runs; a nested npm must not take them over.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)));
  return execute('npm', [...args], { cwd, env, maxBuffer: 16 << 20 });
}
