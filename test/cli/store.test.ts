import { fileURLToPath } from 'node:url';
import { bundleScript, startScript, type ScriptEnd } from '@fieldseal/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { printMigrations } from '../../src/store/postgres.js';
import { freshDatabase, type FreshDatabase } from '../database.js';

let script: Awaited<ReturnType<typeof bundleScript>>;
let database: FreshDatabase;

beforeAll(async () => {
  database = await freshDatabase();
  script = await bundleScript(fileURLToPath(new URL('store-process.ts', import.meta.url)));
});
afterAll(async () => {
  script.remove();
  await database.drop();
});

test('store migrate without a database says what to set, and ends with 2', async () => {
  const { code, stdout, stderr } = await run(['migrate']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('set FIELDSEAL_DATABASE_URL or give --database-url');
});

test('store migrate --print needs no database and prints the SQL', async () => {
  const { code, stdout } = await run(['migrate', '--print']);
  expect(code).toBe(0);
  expect(stdout.trim()).toBe(printMigrations().trim());
});

test('store migrate makes the tables; again it has nothing to do', async () => {
  expect(await run(['migrate', '--database-url', database.url])).toMatchObject({
    code: 0,
    stdout: 'key store migrated from version 0 to 1',
  });
  expect(await run(['migrate'], { FIELDSEAL_DATABASE_URL: database.url })).toMatchObject({
    code: 0,
    stdout: 'key store is at version 1, nothing to do',
  });
});

test('store migrate takes a schema', async () => {
  const { code } = await run(['migrate', '--database-url', database.url, '--schema', 'keys']);
  expect(code).toBe(0);
  expect(await database.query('SELECT version FROM keys.migrations')).toEqual([{ version: 1 }]);
});

test('store migrate with a database that is out of reach fails without the password', async () => {
  const { code, stderr } = await run([
    'migrate',
    '--database-url',
    'postgres://u:the-password@127.0.0.1:1/d',
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('ERR_STORE_UNAVAILABLE');
  expect(stderr).not.toContain('the-password');
});

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<ScriptEnd> {
  return startScript(script.file, args, { env: { FIELDSEAL_DATABASE_URL: '', ...env } }).ended;
}
