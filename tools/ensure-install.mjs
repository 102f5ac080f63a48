// Makes `npm run demo` and `npm test` work as the first command in a fresh clone: installs the locked dependencies when
// what is installed is not what package-lock.json says. With a folder as argument: the same for the project there.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runStep } from './run-step.mjs';

const root = process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url));
const packagesOf = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {});

if (
  !isInstalled(packagesOf(`${root}/package-lock.json`), packagesOf(`${root}/node_modules/.package-lock.json`))
) {
  console.log('Installing the locked dependencies (npm ci) …');
  // npm passes its own settings on to the scripts that it runs; a nested npm must not take them over.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)));
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { code, isStopped } = await runStep(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    env,
  });
  if (code !== 0 || isStopped) process.exit(code || 1);
}

/** npm writes what it installed into node_modules; optional packages of other platforms are not in it. */
function isInstalled(locked, installed) {
  return Object.entries(locked).every(([path, { version, optional, link }]) => {
    if (!path.startsWith('node_modules/') || link) return true;
    const found = installed[path];
    return found ? found.version === version : optional === true;
  });
}
