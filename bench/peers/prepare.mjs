// Installs what bench/peers compares with, and fieldseal beside it from its packed tarball. Prints on stderr only.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const build = join(here, '.build');
const fieldseal = join(here, 'node_modules', 'fieldseal');
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

execFileSync(process.execPath, [join(root, 'tools/ensure-install.mjs'), here], { stdio: ['ignore', 2, 2] });
execFileSync(process.execPath, [join(root, 'tools/ensure-build.mjs')], { stdio: ['ignore', 2, 2] });
unpack(pack());
refuseOtherPackages();

/** Path of the tarball. */
function pack() {
  rmSync(build, { recursive: true, force: true });
  mkdirSync(build);
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', build];
  const [{ filename }] = JSON.parse(execFileSync(npm, args, { cwd: root, encoding: 'utf8' }));
  return join(build, filename);
}

function unpack(tarball) {
  rmSync(fieldseal, { recursive: true, force: true });
  mkdirSync(fieldseal);
  execFileSync('tar', ['-xzf', tarball, '-C', fieldseal, '--strip-components=1']);
}

/** Both sides on one TypeORM, and fieldseal on the packages that it names: nothing is found in the root by accident. */
function refuseOtherPackages() {
  const { dependencies } = readJson(join(here, 'package.json'));
  const ours = readJson(join(root, 'package.json')).dependencies;
  for (const [name, version] of Object.entries({ ...dependencies, ...ours })) {
    const { version: installed } = readJson(join(here, 'node_modules', name, 'package.json'));
    if (installed !== version)
      throw new Error(`Expected ${name} ${version} in bench/peers, got ${installed}.`);
  }
  const entries = [
    'node_modules/fieldseal/dist/typeorm/index.mjs',
    'node_modules/typeorm-encrypted/lib/index.js',
  ];
  const found = entries.map((entry) => createRequire(join(here, entry)).resolve('typeorm'));
  const expected = join(here, 'node_modules', 'typeorm', 'index.js');
  if (found.some((file) => file !== expected))
    throw new Error(`Expected both to use ${expected}, got ${found.join(' and ')}.`);
}
