/** A PgBouncer of our own in front of a PostgreSQL server, from the program that is installed on this machine. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chownTree } from './files.mjs';
import { freePort } from './free-port.mjs';
import { unprivilegedIdentity } from './os-user.mjs';
import { findProgram } from './programs.mjs';
import { PGBOUNCER_PID_FILE } from './server-process.mjs';
import { watchedFolder } from './watched-folder.mjs';

const START_TIMEOUT_MS = 10_000;
const START_ATTEMPTS = 5;

/** See index.d.mts. */
export const findPgbouncer = () => findProgram('pgbouncer');

/** See index.d.mts. */
export async function startPgbouncer({ url, poolMode = 'transaction' }) {
  const program = findPgbouncer();
  if (!program) throw new Error('PgBouncer is not installed (pgbouncer).');
  // It refuses to run as root, as PostgreSQL does.
  const identity = unprivilegedIdentity();
  const { folder, end } = await watchedFolder('pgbouncer', identity);
  const pooler = {
    program,
    identity,
    folder,
    dataDir: path.join(folder, 'data'),
    target: new URL(url),
    poolMode,
  };
  try {
    mkdirSync(pooler.dataDir);
    await startOnFreePort(pooler);
  } catch (error) {
    await end();
    throw error;
  }
  const through = new URL(url);
  [through.hostname, through.port] = ['127.0.0.1', String(pooler.port)];
  return { url: through.href, stop: end };
}

/** A free port may be taken between looking and listening, so another one is tried. */
async function startOnFreePort(pooler) {
  for (let attempt = 1; ; attempt++) {
    pooler.port = await freePort();
    try {
      return await start(pooler);
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
}

async function start(pooler) {
  const { program, identity, folder, dataDir, port } = pooler;
  const settings = path.join(dataDir, 'pgbouncer.ini');
  writeFileSync(settings, settingsOf(pooler), { mode: 0o600 });
  chownTree(folder, identity);
  const logFile = path.join(folder, 'output');
  const log = openSync(logFile, 'w');
  const child = spawn(program, [settings], {
    ...identity,
    cwd: folder,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  await untilReady(child, port, logFile);
}

function settingsOf({ dataDir, port, target, poolMode }) {
  const { hostname, port: targetPort, username, password } = target;
  const users = path.join(dataDir, 'users');
  const quote = (word) => `"${decodeURIComponent(word).replaceAll('"', '""')}"`;
  writeFileSync(users, `${quote(username)} ${quote(password)}\n`, { mode: 0o600 });
  return `[databases]
* = host=${hostname} port=${targetPort || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = ${password === '' ? 'trust' : 'scram-sha-256'}
auth_file = ${users}
pool_mode = ${poolMode}
max_client_conn = 200
pidfile = ${path.join(dataDir, PGBOUNCER_PID_FILE)}
`;
}

async function untilReady(child, port, logFile) {
  let failure;
  child.once('error', (error) => (failure = error.message));
  child.once('exit', (code, name) => (failure = `it ended with ${name ?? code}`));
  const end = performance.now() + START_TIMEOUT_MS;
  while (failure !== undefined || !(await answers(port))) {
    if (performance.now() > end) failure ??= `it was not ready after ${START_TIMEOUT_MS} ms`;
    if (failure)
      throw new Error(`PgBouncer did not start: ${failure}. Its log:\n${readFileSync(logFile, 'utf8')}`);
    await sleep(20);
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1');
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}
