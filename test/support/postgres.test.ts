import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  findMariadb,
  startMariadb,
  startPostgres,
  startScript,
  type RunningScript,
} from '@fieldseal/test-support';
import mysql from 'mysql2/promise';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The launcher's users are all tests with a database; here are the ways in which their processes end.

let folder: string;
let script: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'launcher-test-'));
  script = path.join(folder, 'owner.mjs');
  const launcher = new URL('index.mjs', import.meta.url).href;
  writeFileSync(
    script,
    `import * as support from '${launcher}';
    const server = await support[process.argv[3] ?? 'startPostgres']();
    console.log('up ' + server.pid + ' ' + server.dataDir);
    if (process.argv[2] === 'leave') process.exitCode = 7;
    else setInterval(() => {}, 60_000);`,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const ENDS: [string, string, NodeJS.Signals | undefined, number | null][] = [
  ['comes to its end', 'leave', undefined, 7],
  ['gets SIGINT', 'stay', 'SIGINT', null],
  ['gets kill -9', 'stay', 'SIGKILL', null],
];

test.each(ENDS)('the server ends with an owner that %s, whose exit code stays', (_, job, signal, code) =>
  endsWithOwner('startPostgres', job, signal, code),
);

// Needs MariaDB itself, not the server that TEST_MARIADB_URL may name.
test.runIf(findMariadb() !== undefined).each(ENDS)(
  'a MariaDB server ends with an owner that %s, whose exit code stays',
  (_, job, signal, code) => endsWithOwner('startMariadb', job, signal, code),
);

async function endsWithOwner(
  start: 'startPostgres' | 'startMariadb',
  job: string,
  signal: NodeJS.Signals | undefined,
  code: number | null,
): Promise<void> {
  const owner = startScript(script, [job, start]);
  const { pid, dataDir } = await upOf(owner);
  if (signal) owner.kill(signal);
  expect(await owner.ended).toMatchObject({ code, signal: signal ?? null });
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  await expect.poll(() => existing(path.dirname(dataDir)), { timeout: 10_000 }).toEqual([]);
}

test.runIf(findMariadb() !== undefined)(
  'a MariaDB server trusts nobody without the password, runs as no superuser, and may be stopped twice',
  async () => {
    const server = await startMariadb();
    const url = new URL(server.url);
    const connection = await mysql.createConnection(server.url);
    expect((await connection.query('SELECT CURRENT_USER() AS user'))[0]).toEqual([
      { user: 'fieldseal@127.0.0.1' },
    ]);
    await connection.end();
    for (const [username, password] of [
      ['fieldseal', 'wrong'],
      ['root', ''],
      ['', ''],
    ] as const) {
      Object.assign(url, { username, password });
      await expect(mysql.createConnection(url.href)).rejects.toThrow('Access denied');
    }
    if (process.platform === 'linux') expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    await expect.poll(() => isAlive(server.pid!)).toBe(false);
    expect(existing(path.dirname(server.dataDir))).toEqual([]);
  },
);

// Finds the watchdog through /proc.
test.runIf(process.platform === 'linux')(
  'a server whose owner and watchdog were both killed is ended by the next start',
  async () => {
    const owner = startScript(script, ['stay']);
    const { pid, dataDir } = await upOf(owner);
    process.kill(watchdogOf(owner.pid), 'SIGKILL');
    owner.kill('SIGKILL');
    await owner.ended;
    expect(isAlive(pid)).toBe(true);
    const next = await startPostgres();
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    expect(existing(path.dirname(dataDir))).toEqual([]);
    await next.stop();
  },
);

test.runIf(process.platform === 'linux')('stop ends a server whose watchdog was killed', async () => {
  const server = await startPostgres();
  const pid = server.pid!;
  process.kill(watchdogOf(process.pid, path.dirname(server.dataDir)), 'SIGKILL');
  await server.stop();
  await expect.poll(() => isAlive(pid)).toBe(false);
  expect(existing(path.dirname(server.dataDir))).toEqual([]);
});

test('a server trusts nobody without the password; stop ends it at once and may be called again', async () => {
  const server = await startPostgres();
  expect(await answer(server.url)).toBe('UTF8');
  const url = new URL(server.url);
  url.password = 'wrong';
  await expect(answer(url.href)).rejects.toThrow('password authentication failed');
  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
  expect(server.pid).toBeUndefined();
  await expect(answer(server.url)).rejects.toThrow('ECONNREFUSED');
});

test('a port that is taken is an error with the end of the log', async () => {
  const taken = net.createServer();
  const port = await new Promise<number>((resolve) =>
    taken.listen(0, '127.0.0.1', () => {
      resolve((taken.address() as net.AddressInfo).port);
    }),
  );
  await expect(startPostgres({ port })).rejects.toThrow('could not bind');
  taken.close();
});

async function answer(connectionString: string): Promise<unknown> {
  const client = new Client({ connectionString });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>('SHOW server_encoding');
  await client.end();
  return rows[0]?.server_encoding;
}

async function upOf(owner: RunningScript): Promise<{ readonly pid: number; readonly dataDir: string }> {
  const [, pid, dataDir] = (await owner.line('up ')).split(' ');
  return { pid: Number(pid), dataDir: dataDir ?? '' };
}

/** The watchdog of an owner with one server, or of the server in this folder. */
function watchdogOf(owner: number, folderOfServer = ''): number {
  const children = readFileSync(`/proc/${owner}/task/${owner}/children`, 'utf8').split(' ').filter(Boolean);
  const watchdog = children.find((pid) => {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command.includes('watchdog.mjs') && command.includes(folderOfServer);
  });
  return Number(watchdog);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function existing(folderOfServer: string): string[] {
  const { dir, base } = path.parse(folderOfServer);
  return readdirSync(dir).filter((name) => name === base);
}
