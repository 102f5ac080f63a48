/** The unprivileged OS user that PostgreSQL runs as: it refuses to run as root. */
import { spawnSync } from 'node:child_process';

// In order of preference. `nobody` is the last resort: it exists everywhere, but shares its files with other daemons.
const CANDIDATES = ['postgres', 'fieldseal-pg', 'nobody'];

/** Identity for child processes: nothing when this process is not root and may start the server as itself. */
export function unprivilegedIdentity() {
  if (process.getuid?.() !== 0) return {};
  const found = findIdentity('postgres') ?? findIdentity('fieldseal-pg');
  if (found) return found;
  spawnSync('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', 'fieldseal-pg'], {
    stdio: 'ignore',
  });
  for (const name of CANDIDATES) {
    const identity = findIdentity(name);
    if (identity) return identity;
  }
  throw new Error(
    'PostgreSQL does not run as root, and no unprivileged user was found: create the OS user "postgres" (useradd postgres), or set TEST_DATABASE_URL.',
  );
}

function findIdentity(name) {
  const uid = numberFrom('id', ['-u', name]);
  const gid = numberFrom('id', ['-g', name]);
  return uid === undefined || gid === undefined || uid === 0 ? undefined : { uid, gid };
}

function numberFrom(command, args) {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? Number(stdout.trim()) : undefined;
}
