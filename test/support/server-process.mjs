/** Finds and ends a database server by the folder of its data, never by its number alone: numbers are used again. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;
const POSTGRES_PID_FILE = 'postmaster.pid';
export const MARIADB_PID_FILE = 'mariadb.pid';
export const PGBOUNCER_PID_FILE = 'pgbouncer.pid';

/** Number of the process that serves `dataDir`, or undefined when none does. */
export function serverPid(dataDir) {
  return [POSTGRES_PID_FILE, MARIADB_PID_FILE, PGBOUNCER_PID_FILE]
    .map((file) => Number(readOr(path.join(dataDir, file), '').split('\n')[0]))
    .find((pid) => pid > 0 && serves(pid, dataDir));
}

const serves = (pid, dataDir) => commandOf(pid).includes(dataDir);

/** True once a PostgreSQL server accepts connections: it says so in line 8 of its pid file (the way of pg_ctl). */
export function isReady(dataDir) {
  return readOr(path.join(dataDir, POSTGRES_PID_FILE), '').split('\n')[7]?.trim() === 'ready';
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

/**
 * Waits until the process no longer serves `dataDir`, which is later than it removes its pid file; false when it still
 * does after `timeoutMs`.
 */
export async function isGone(pid, dataDir, timeoutMs) {
  const end = performance.now() + timeoutMs;
  while (serves(pid, dataDir)) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Ends the server with `first` and, when that takes longer than `timeoutMs`, with SIGKILL. */
export async function endServer(dataDir, first, timeoutMs) {
  const pid = serverPid(dataDir);
  if (pid === undefined) return;
  // One that a test has frozen would end no sooner than it goes on.
  for (const frozen of [pid, ...childrenOf(pid)]) signal(frozen, 'SIGCONT');
  signal(pid, first);
  if (await isGone(pid, dataDir, timeoutMs)) return;
  signal(pid, 'SIGKILL');
  await isGone(pid, dataDir, timeoutMs);
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
