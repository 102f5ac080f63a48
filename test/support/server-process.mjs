/** Finds and ends a postmaster by the folder of its data, never by its number alone: numbers are used again. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;

/** Number of the postmaster that serves `dataDir`, or undefined when none runs. */
export function postmasterPid(dataDir) {
  const pid = Number(readOr(path.join(dataDir, 'postmaster.pid'), '').split('\n')[0]);
  return pid > 0 && commandOf(pid).includes(dataDir) ? pid : undefined;
}

/** True once the server accepts connections: it says so in line 8 of its pid file (the way of pg_ctl). */
export function isReady(dataDir) {
  return readOr(path.join(dataDir, 'postmaster.pid'), '').split('\n')[7]?.trim() === 'ready';
}

/** Numbers of the server's other processes. Linux only; elsewhere they end by themselves soon after the postmaster. */
export function childrenOf(pid) {
  return readOr(`/proc/${pid}/task/${pid}/children`, '').split(' ').filter(Boolean).map(Number);
}

export function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // Ended in between, which is what the caller wants.
  }
}

/** Waits until nothing serves `dataDir`; false when something still does after `timeoutMs`. */
export async function isGone(dataDir, timeoutMs) {
  const end = performance.now() + timeoutMs;
  while (postmasterPid(dataDir) !== undefined) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Ends the server with `first` and, when that takes longer than `timeoutMs`, with SIGKILL. */
export async function endServer(dataDir, first, timeoutMs) {
  const pid = postmasterPid(dataDir);
  if (pid === undefined) return;
  signal(pid, first);
  if (await isGone(dataDir, timeoutMs)) return;
  signal(pid, 'SIGKILL');
  await isGone(dataDir, timeoutMs);
}

function commandOf(pid) {
  if (process.platform === 'linux') return readOr(`/proc/${pid}/cmdline`, '').replaceAll('\0', ' ');
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
}

function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
