// Builds dist/ when it does not fit the sources. Safe to run from several processes at once: one builds, the others wait.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const STALE_LOCK_MS = 120_000;
const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = `${root}/node_modules/.fieldseal-build`;
const lock = `${stamp}-lock`;

const sources = readdirSync(`${root}/src`, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`)
  .sort();
const hash = createHash('sha256');
for (const file of [
  ...sources,
  ...['package.json', 'tsconfig.json', 'tsdown.config.ts'].map((name) => `${root}/${name}`),
]) {
  hash.update(`${file}\0`).update(readFileSync(file));
}
const digest = hash.digest('hex');
const isBuilt = () =>
  existsSync(stamp) && existsSync(`${root}/dist/index.mjs`) && readFileSync(stamp, 'utf8') === digest;

if (!isBuilt()) {
  while (!taken()) await sleep(100);
  try {
    if (!isBuilt()) build();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function taken() {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    // A process that was killed while it built leaves its lock behind.
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > STALE_LOCK_MS) rmSync(lock, { recursive: true, force: true });
    return false;
  }
}

function build() {
  rmSync(stamp, { force: true });
  const args = ['node_modules/tsdown/dist/run.mjs', '--logLevel', 'error'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) {
    console.error(stdout + stderr);
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, digest);
}
