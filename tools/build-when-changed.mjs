// Builds something when what it was built from has changed. Safe to run from several processes at once: one builds, the
// others wait.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const STALE_LOCK_MS = 120_000;
const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * @param name Of the stamp in node_modules that says what was built.
 * @param files What it is built from, with their paths from the root.
 * @param result A file that is there when it is built, from the root.
 * @param commands Arguments of node, one command after the other.
 */
export async function buildWhenChanged({ name, files, result, commands }) {
  const stamp = `${root}/node_modules/.${name}`;
  const lock = `${stamp}-lock`;
  const digest = digestOf(files);
  const isBuilt = () =>
    existsSync(stamp) && existsSync(`${root}/${result}`) && readFileSync(stamp, 'utf8') === digest;

  if (isBuilt()) return;
  while (!taken(lock)) await sleep(100);
  try {
    if (isBuilt()) return;
    rmSync(stamp, { force: true });
    for (const args of commands) run(args, lock);
    writeFileSync(stamp, digest);
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Paths of all files below a folder, from the root; folders named in `except` are left out. */
export function filesBelow(folder, except = []) {
  return readdirSync(`${root}/${folder}`, { withFileTypes: true })
    .filter(({ name }) => !except.includes(name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesBelow(path, except);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

function digestOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${root}/${file}\0`).update(readFileSync(`${root}/${file}`));
  return hash.digest('hex');
}

function taken(lock) {
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

function run(args, lock) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return;
  console.error(stdout + stderr);
  rmSync(lock, { recursive: true, force: true });
  process.exit(status ?? 1);
}
