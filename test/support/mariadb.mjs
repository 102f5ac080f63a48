/** A MariaDB server of our own in a temporary folder, from the programs that are installed on this machine. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chownTree } from './files.mjs';
import { freePort } from './free-port.mjs';
import { unprivilegedIdentity } from './os-user.mjs';
import { findProgram } from './programs.mjs';
import { MARIADB_PID_FILE, serverPid } from './server-process.mjs';
import { watchedFolder } from './watched-folder.mjs';

const START_TIMEOUT_MS = 30_000;
const START_ATTEMPTS = 5;

/** Paths of the programs, or undefined where MariaDB is not installed. */
export function findMariadb() {
  const mariadbd = findProgram('mariadbd');
  const install = findProgram('mariadb-install-db');
  return mariadbd && install ? { mariadbd, install } : undefined;
}

/** See index.d.mts. */
export async function startMariadb({ log } = {}) {
  const programs = findMariadb();
  if (!programs) throw new Error('MariaDB is not installed (mariadbd, mariadb-install-db).');
  const identity = unprivilegedIdentity();
  const { folder, end } = await watchedFolder('mariadb', identity);
  const server = {
    programs,
    identity,
    folder,
    dataDir: path.join(folder, 'data'),
    errorLog: path.join(folder, 'error.log'),
    generalLog: path.join(folder, 'general.log'),
    password: randomBytes(18).toString('base64url'),
  };
  try {
    initialise(server);
    await startOnFreePort(server);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    url: `mysql://fieldseal:${server.password}@127.0.0.1:${server.port}/`,
    dataDir: server.dataDir,
    pid: serverPid(server.dataDir),
    async stop() {
      if (log !== undefined && existsSync(server.generalLog)) copyFileSync(server.generalLog, log);
      await end();
    },
  };
}

function initialise({ programs, identity, folder, dataDir, password }) {
  // The server reads it at each start, before it listens: nobody gets in without the password.
  writeFileSync(
    path.join(folder, 'init.sql'),
    `DELETE FROM mysql.global_priv WHERE User IN ('root', '');
FLUSH PRIVILEGES;
CREATE USER fieldseal@'127.0.0.1' IDENTIFIED BY '${password}';
GRANT ALL ON *.* TO fieldseal@'127.0.0.1' WITH GRANT OPTION;
`,
    { mode: 0o600 },
  );
  chownTree(folder, identity);
  const args = ['--no-defaults', `--datadir=${dataDir}`, '--auth-root-authentication-method=normal'];
  const { status, stdout, error } = spawnSync(programs.install, [...args, '--skip-test-db'], {
    ...identity,
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) {
    throw new Error(`mariadb-install-db failed: ${stdout || error?.message || `exit code ${status}`}`);
  }
}

/** A free port may be taken between looking and listening, so another one is tried. */
async function startOnFreePort(server) {
  for (let attempt = 1; ; attempt++) {
    server.port = await freePort();
    try {
      return await startServer(server);
    } catch (error) {
      if (attempt === START_ATTEMPTS || !readFileSync(server.errorLog, 'utf8').includes('in use'))
        throw error;
    }
  }
}

async function startServer({ programs, identity, folder, dataDir, errorLog, generalLog, port }) {
  const settings = {
    datadir: dataDir,
    socket: path.join(folder, 'socket'),
    'pid-file': path.join(dataDir, MARIADB_PID_FILE),
    'init-file': path.join(folder, 'init.sql'),
    'bind-address': '127.0.0.1',
    port,
    'skip-name-resolve': 'ON',
    'character-set-server': 'utf8mb4',
    'general-log': 'ON',
    'general-log-file': generalLog,
    'max-connections': 200,
    'innodb-buffer-pool-size': '64M',
    'innodb-flush-log-at-trx-commit': 0,
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const log = openSync(errorLog, 'w');
  const child = spawn(programs.mariadbd, ['--no-defaults', ...args], {
    ...identity,
    cwd: folder,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  await untilReady(child, errorLog);
}

async function untilReady(child, errorLog) {
  let failure;
  child.once('error', (error) => (failure = error.message));
  child.once('exit', (code, name) => (failure = `it ended with ${name ?? code}`));
  const end = performance.now() + START_TIMEOUT_MS;
  while (!readFileSync(errorLog, 'utf8').includes('ready for connections')) {
    if (performance.now() > end) failure ??= `it was not ready after ${START_TIMEOUT_MS} ms`;
    if (failure) {
      const tail = readFileSync(errorLog, 'utf8').split('\n').slice(-15).join('\n');
      throw new Error(`MariaDB did not start: ${failure}. End of its log:\n${tail}`);
    }
    await sleep(20);
  }
}
