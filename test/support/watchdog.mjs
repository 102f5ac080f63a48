/**
 * Ends one server and removes its folder as soon as its owner closes our stdin or dies, kill -9 included: the kernel
 * closes the pipe then. A process of its own, because no hook runs in a killed process, and because an exit hook in
 * the owner could change its exit code. Started by watched-folder.mjs: `node watchdog.mjs <folder>`.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { endServer } from './server-process.mjs';

// At once in PostgreSQL, in order in MariaDB.
const SHUTDOWN = 'SIGQUIT';
const folder = process.argv[2];

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {});
process.stdin.on('error', () => {});
process.stdin.on('close', () => void clean());
process.stdin.resume();

async function clean() {
  await endServer(path.join(folder, 'data'), SHUTDOWN, 5_000);
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  process.exit(0);
}
