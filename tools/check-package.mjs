// Checks the package as users will get it: built, packed, its exports and types looked at by publint and attw.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (path) => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));

run(fileURLToPath(new URL('ensure-build.mjs', import.meta.url)));
run(bin('publint/src/cli.js'), '--strict');
run(bin('@arethetypeswrong/cli/dist/index.js'), '--pack', '.', '--profile', 'node16');

function run(script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
