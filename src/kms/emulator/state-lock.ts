/** The lock beside a state file: two emulators on one file would each write away what the other made. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../errors.js';

/** Gives a state file free. Idempotent. */
export type Release = () => void;

/** How often, and every how many ms, to look at a lock whose maker has not written into it yet. */
const LOOKS = 10;
const LOOK_MS = 20;

/** Locks of this process: a lock with its number that is not among them is left from an earlier process of that number. */
const held = new Set<string>();

/**
 * Takes the state file for this process. The lock names who has it, so that one whose process was killed is taken over.
 * @throws ConfigError `ERR_CONFIG_OPTION`: a running process has it, or its folder cannot be written to.
 */
export async function lockStateFile(stateFile: string): Promise<Release> {
  const lock = resolve(`${stateFile}.lock`);
  const own = `${process.pid} ${startOf(process.pid)}`;
  for (let look = 0; look < LOOKS; look += 1) {
    if (make(lock, own, stateFile)) return releaseOf(lock, own);
    const found = read(lock);
    const pid = Number.parseInt(found ?? '', 10);
    if (found === undefined) continue;
    if (isHolder(lock, found, pid)) throw taken(stateFile, lock, `process ${pid}`);
    if (found === '' && look < LOOKS - 2) await sleep(LOOK_MS);
    else setAside(lock, found);
  }
  throw taken(stateFile, lock, 'another process');
}

function releaseOf(lock: string, own: string): Release {
  const release = (): void => {
    process.off('exit', release);
    // Not a lock that somebody made after this one was deleted by hand.
    if (held.delete(lock) && read(lock) === own) rmSync(lock, { force: true });
  };
  held.add(lock);
  process.on('exit', release);
  return release;
}

/** @returns Whether there was none. */
function make(lock: string, own: string, stateFile: string): boolean {
  try {
    writeFileSync(lock, own, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    throw new ConfigError(
      'ERR_CONFIG_OPTION',
      `State file ${stateFile}: expected a folder that can be written to, got ${code} for ${lock}.`,
    );
  }
}

function isHolder(lock: string, found: string, pid: number): boolean {
  if (pid === process.pid) return held.has(lock);
  // Numbers of processes are used again, after a restart of a container at once.
  return isRunning(pid) && found === `${pid} ${startOf(pid)}`;
}

/** Of several processes that find one stale lock, one moves it away; who moved a new one instead gives it back. */
function setAside(lock: string, stale: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return; // another process was faster
  }
  const moved = read(aside);
  if (moved !== undefined && moved !== stale) {
    try {
      writeFileSync(lock, moved, { flag: 'wx', mode: 0o600 });
    } catch {
      // There is one again.
    }
  }
  rmSync(aside, { force: true });
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** When a process started, in ticks since the machine did; empty where the system does not show it in a file. */
function startOf(pid: number): string {
  // Field 22; the second is the name in brackets, which may hold spaces (proc_pid_stat(5)).
  return read(`/proc/${pid}/stat`)?.replace(/^.*\)/su, '').trim().split(' ')[19] ?? '';
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function taken(stateFile: string, lock: string, holder: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `State file ${stateFile}: expected no other emulator on it, got ${holder}. Stop that one, or name another file; where no emulator is running, delete ${lock}.`,
  );
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
