/** The temporary folder of one server, which ends and goes with its owner. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryBase } from './files.mjs';
import { folderPrefix, reapOrphans, removeServer } from './orphans.mjs';

/** Makes the folder of a server that this process owns; `end` ends the server and removes everything. */
export async function watchedFolder(kind, identity) {
  const base = temporaryBase(identity);
  await reapOrphans(base);
  const folder = mkdtempSync(path.join(base, `${folderPrefix(kind)}${process.pid}-`));
  return { folder, end: startWatchdog(folder) };
}

// Its own session, so that Ctrl+C in the terminal reaches the owner only and the watchdog is left to clean up.
function startWatchdog(folder) {
  const script = fileURLToPath(new URL('watchdog.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.unref();
  child.stdin.unref();
  child.stdin.on('error', () => {});
  return async () => {
    child.ref();
    child.stdin.end();
    await ended;
    // A watchdog that was killed has ended nothing.
    if (existsSync(folder)) await removeServer(folder);
  };
}
