// Runs a program as one step of a command. Needs nothing but Node: the first step installs everything else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ORPHAN_CHECK_MS = 200;
const parent = process.ppid;
const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Calls back when this process is to end: with SIGINT or SIGTERM when one comes, and once with SIGTERM when npm is gone. npm has a
 * shell between itself and this process and passes signals to that alone, which dies and tells nobody.
 * @returns What ends the listening.
 */
export function onStop(callback) {
  const orphanCheck = setInterval(() => {
    if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
    clearInterval(orphanCheck);
    callback('SIGTERM');
  }, ORPHAN_CHECK_MS);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, callback);
  return () => {
    clearInterval(orphanCheck);
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, callback);
  };
}

/**
 * Runs it to its end, in the root of the repository unless the options say otherwise, and stops it when this process is to end.
 * @returns Its exit code, and whether it was stopped.
 */
export async function runStep(file, args, options = {}) {
  const child = spawn(file, args, { cwd: root, stdio: 'inherit', ...options });
  let isStopped = false;
  const forget = onStop((signal) => {
    isStopped = true;
    child.kill(signal);
  });
  const [code] = await once(child, 'exit');
  forget();
  return { code: code ?? 1, isStopped };
}

/** Runs one of the tools before what needs it, and ends this process where it failed or was stopped. */
export async function prepare(tool) {
  const { code, isStopped } = await runStep(process.execPath, [`tools/${tool}`]);
  if (code !== 0 || isStopped) process.exit(code || 1);
}
