import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleScript, canariesIn } from '@fieldseal/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { localKeks } from '../../src/kms/local/local-keks.js';
import { recordKey } from '../canary.js';
import { runCli, type Finished } from './cli-process.js';

let cli: Awaited<ReturnType<typeof bundleScript>>;
let folder: string;
let file: string;

beforeAll(async () => {
  cli = await bundleScript(fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)));
});
afterAll(() => {
  cli.remove();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-cli-'));
  file = join(folder, 'card-a.kek');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const create = (...args: readonly string[]): Promise<Finished> =>
  runCli(cli.file, ['local-kek', 'create', ...args]);

describe('fieldseal local-kek create', () => {
  it('makes a file for its owner alone that localKeks takes, and prints the name of the KEK and no key', async () => {
    const { code, stdout, stderr } = await create(file);
    const keyBytes = Buffer.from(/^key: (.*)$/mu.exec(readFileSync(file, 'latin1'))![1]!, 'hex');
    recordKey(keyBytes);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const provider = localKeks({ keks: { 'card-number': [file] } });
    await provider.start(['card-number'], () => undefined);
    expect(stdout).toBe(`${provider.keks('card-number').join()}\n`);
    await provider.close();
    expect(keyBytes).toHaveLength(32);
    expect(canariesIn(stdout, [keyBytes])).toHaveLength(0);
  });

  it('makes another KEK each time', async () => {
    const [one, other] = [await create(file), await create(join(folder, 'card-b.kek'))];
    expect(one.stdout).not.toBe(other.stdout);
  });

  it('refuses to overwrite a file, with code 1 and one line', async () => {
    await create(file);
    const before = readFileSync(file);
    const { code, stdout, stderr } = await create(file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^ERR_CONFIG_KEK_FILE: Key file [^\n]*card-a\.kek: [^\n]*got one that exists[^\n]*\n$/,
    );
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('refuses a folder that is missing, and one that others may write in', async () => {
    const missing = await create(join(folder, 'gone', 'card-a.kek'));
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toMatch(/^ERR_CONFIG_KEK_FILE: [^\n]*mkdir -m 700[^\n]*\n$/);
    chmodSync(folder, 0o777);
    const open = await create(file);
    expect(open).toMatchObject({ code: 1, stdout: '' });
    expect(open.stderr).toMatch(/^ERR_CONFIG_KEK_FILE: [^\n]*got mode 0777[^\n]*\n$/);
  });

  it('leaves no half of a file where the disk takes none', () => {
    const limited = [
      '-c',
      'ulimit -f 0; exec "$0" "$@"',
      process.execPath,
      cli.file,
      'local-kek',
      'create',
      file,
    ];
    const { status, stderr } = spawnSync('bash', limited, { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ERR_CONFIG_KEK_FILE: [^\n]*got EFBIG; check the folder and the space[^\n]*\n$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([[[]], [['a.kek', 'b.kek']], [['--force', 'a.kek']]])(
    'called with %j ends with code 2',
    async (args) => {
      const { code, stdout, stderr } = await create(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr.trimEnd()).not.toContain('\n');
    },
  );
});
