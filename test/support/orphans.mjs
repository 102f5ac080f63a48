/** Servers whose owner and watchdog were both killed. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { endServer } from './server-process.mjs';

/** Folders are named after the owner's process number: `fieldseal-pg-<pid>-<random>`, `fieldseal-mariadb-…`, `fieldseal-pgbouncer-…`. */
export const folderPrefix = (kind) => `fieldseal-${kind}-`;

/** Ends such servers and removes their folders; leaves those of living owners and of other users alone. */
export async function reapOrphans(base) {
  for (const name of readdirSync(base)) {
    const owner = /^fieldseal-(?:pg|mariadb|pgbouncer)-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    try {
      await removeServer(path.join(base, name));
    } catch {
      // Of another OS user, who cleans up himself.
    }
  }
}

/** Ends the server of a folder, if one runs, and removes the folder. */
export async function removeServer(folder) {
  await endServer(path.join(folder, 'data'), 'SIGQUIT', 2_000);
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
