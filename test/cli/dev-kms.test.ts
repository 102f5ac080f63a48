import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  KMSClient,
} from '@aws-sdk/client-kms';
import { bundleScript } from '@fieldseal/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli, startCli, startProgram } from './cli-process.js';
import type { Running } from './cli-process.js';

let cli: Awaited<ReturnType<typeof bundleScript>>;
let folder: string;
const running: Running[] = [];

beforeAll(async () => {
  cli = await bundleScript(fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)));
});
afterAll(() => {
  cli.remove();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fieldseal-cli-'));
});
afterEach(async () => {
  for (const { child, finished } of running.splice(0)) {
    child.kill('SIGKILL');
    await finished;
  }
  rmSync(folder, { recursive: true });
});

async function devKms(...args: string[]): Promise<{ readonly process: Running; readonly sdk: KMSClient }> {
  return devKmsOf(startCli(cli.file, ['dev-kms', '--port', '0', ...args]));
}

async function devKmsOf(process: Running): Promise<{ readonly process: Running; readonly sdk: KMSClient }> {
  running.push(process);
  const text = await process.printed('Stop with');
  const found = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';
  const credentials = {
    accessKeyId: found(/AWS_ACCESS_KEY_ID=(\S+)/),
    secretAccessKey: found(/AWS_SECRET_ACCESS_KEY=(\S+)/),
  };
  const endpoint = found(/KMS emulator: (\S+)/);
  return {
    process,
    sdk: new KMSClient({ endpoint, region: found(/Region: (\S+)/), credentials, maxAttempts: 1 }),
  };
}

describe('fieldseal dev-kms', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'prints all that a client needs, and stops on %s with 0',
    async (signal) => {
      const { process, sdk } = await devKms('--create-key', 'alias/a', 'alias/b');
      for (const KeyId of ['alias/a', 'alias/b']) {
        await sdk.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
      }
      process.child.kill(signal);
      expect(await process.finished).toMatchObject({ code: 0, stderr: '' });
    },
  );

  it('loses no key to kill -9', async () => {
    const stateFile = join(folder, 'state.json');
    const first = await devKms('--state-file', stateFile, '--create-key', 'alias/a');
    const { CiphertextBlob } = await first.sdk.send(
      new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from('kept') }),
    );
    first.process.child.kill('SIGKILL');
    await first.process.finished;
    const second = await devKms('--state-file', stateFile);
    const { Plaintext } = await second.sdk.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(Plaintext ?? []).toString()).toBe('kept');
  });

  it('on a full disk leaves the state file as it was and acknowledges nothing that is not in it', async () => {
    const stateFile = join(folder, 'state.json');
    const first = await devKms('--state-file', stateFile, '--create-key', 'alias/a');
    first.process.child.kill('SIGTERM');
    await first.process.finished;
    const before = readFileSync(stateFile);
    // A limit of the system, above which a write is short and the next one fails, stands for the end of the disk.
    const blocks = Math.ceil(before.length / 512);
    const args = ['--import', "data:text/javascript,process.on('SIGXFSZ',()=>{})", cli.file, 'dev-kms'];
    const { process, sdk } = await devKmsOf(
      startProgram('sh', [
        ...['-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', execPath, ...args],
        ...['--port', '0', '--state-file', stateFile],
      ]),
    );
    await expect(sdk.send(new CreateKeyCommand({}))).rejects.toMatchObject({
      name: 'KMSInternalException',
      $metadata: { httpStatusCode: 500 },
    });
    // It works on with what is stored.
    await sdk.send(new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from('x') }));
    expect(readFileSync(stateFile).equals(before)).toBe(true);
    process.child.kill('SIGTERM');
    await process.finished;
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  it('refuses to make a key of several regions', async () => {
    const { sdk } = await devKms();
    await expect(sdk.send(new CreateKeyCommand({ MultiRegion: true }))).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
    });
    await sdk.send(new CreateKeyCommand({ MultiRegion: false }));
  });

  it('prints the ARN behind each alias that it has or made', async () => {
    const stateFile = join(folder, 'state.json');
    const first = await devKms('--state-file', stateFile, '--create-key', 'alias/card-a', 'alias/card-b');
    first.process.child.kill('SIGTERM');
    await first.process.finished;
    const { process, sdk } = await devKms('--state-file', stateFile, '--create-mac-key', 'alias/card-mac');
    const text = await process.printed('Stop with');
    const lines = [...text.matchAll(/^(alias\/\S+) {2}(arn:aws:kms:\S+)$/gmu)];
    expect(lines.map(([, alias]) => alias)).toEqual(['alias/card-a', 'alias/card-b', 'alias/card-mac']);
    for (const [, KeyId, arn] of lines) {
      expect((await sdk.send(new DescribeKeyCommand({ KeyId: KeyId! }))).KeyMetadata!.Arn).toBe(arn);
    }
    const mac = { KeyId: lines[2]![2]!, Message: Buffer.from('x'), MacAlgorithm: 'HMAC_SHA_256' } as const;
    await sdk.send(new GenerateMacCommand(mac));
  });

  it('refuses a state file that another one has, until that one is gone, however it went', async () => {
    const stateFile = join(folder, 'state.json');
    const first = await devKms('--state-file', stateFile, '--create-key', 'alias/a');
    const refused = startCli(cli.file, ['dev-kms', '--port', '0', '--state-file', stateFile]);
    running.push(refused);
    const { code, stderr } = await refused.finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ERR_CONFIG_OPTION: State file [^\n]*state\.json[^\n]*\n$/);
    expect(stderr).toContain(`process ${first.process.child.pid!}`);
    first.process.child.kill('SIGKILL');
    await first.process.finished;
    const second = await devKms('--state-file', stateFile);
    second.process.child.kill('SIGTERM');
    await second.process.finished;
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  it('lets one of many have a state file whose owner was killed', async () => {
    const stateFile = join(folder, 'state.json');
    const first = await devKms('--state-file', stateFile, '--create-key', 'alias/a');
    first.process.child.kill('SIGKILL');
    await first.process.finished;
    const started = await Promise.allSettled(
      Array.from({ length: 4 }, () => devKms('--state-file', stateFile)),
    );
    expect(started.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('prints no secret of a policy file', async () => {
    const secretAccessKey = 'a-secret-of-a-policy-file';
    const principal = {
      name: 'web',
      accessKeyId: 'WEBACCESSKEY0000',
      secretAccessKey,
      policy: { Statement: [] },
    };
    const policyFile = join(folder, 'policy.json');
    writeFileSync(policyFile, JSON.stringify({ principals: [principal] }));
    const process = startCli(cli.file, ['dev-kms', '--port', '0', '--policy-file', policyFile]);
    running.push(process);
    const text = await process.printed('Stop with');
    expect(text).toContain('Principal web: AWS_ACCESS_KEY_ID=WEBACCESSKEY0000');
    expect(text).not.toContain(secretAccessKey);
  });

  it('is refused in production with code 1 and one line', async () => {
    const { code, stderr } = await runCli(cli.file, ['dev-kms', '--port', '0'], { NODE_ENV: 'production' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ERR_CONFIG_OPTION: [^\n]*NODE_ENV=production[^\n]*\n$/);
  });

  it.each(['/', tmpdir()])(
    'refuses the folder %s as state file with code 1 and one line',
    async (stateFile) => {
      const { code, stderr } = await runCli(cli.file, ['dev-kms', '--port', '0', '--state-file', stateFile]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^ERR_CONFIG_OPTION: State file [^\n]*expected a file [^\n]*\n$/);
    },
  );

  it('refuses a damaged state file with code 1 and one line', async () => {
    const stateFile = join(folder, 'state.json');
    writeFileSync(stateFile, '{"format"');
    const { code, stderr } = await runCli(cli.file, ['dev-kms', '--port', '0', '--state-file', stateFile]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ERR_CONFIG_OPTION: State file [^\n]* is damaged[^\n]*\n$/);
  });
});

describe('fieldseal', () => {
  it.each([
    [['dev-kms', '--port', 'eighty'], /port/i],
    [['dev-kms', '--port', '70000'], /port/i],
    [['dev-kms', '--prot', '1'], /unknown option '--prot'/],
    [['dev-kms', 'surplus'], /too many arguments/],
    [['no-such-command'], /unknown command 'no-such-command'/],
  ])('called as %j ends with code 2 and one line', async (args, message) => {
    const { code, stdout, stderr } = await runCli(cli.file, args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it.each([
    [['store', 'migrate', '--databse-url=postgres://me:hunter2@db/keys'], "unknown option '--databse-url=…'"],
    [['postgres://me:hunter2@db/keys'], "unknown command '…'"],
    [['dev-kms', '--port', 'postgres://me:hunter2@db/keys'], "argument '…' is invalid"],
  ])('repeats no value of an argument that it does not understand: %#', async (args, message) => {
    const { code, stderr } = await runCli(cli.file, args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('hunter2');
  });

  it.each(['policy'])('%s ends with a code where its configuration waits for ever', async (command) => {
    const config = join(folder, 'fieldseal.config.mjs');
    writeFileSync(config, 'export const options = await new Promise(() => undefined);\n');
    const { code, stdout, stderr } = await runCli(cli.file, [command, '--config', config]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^ERR_CONFIG_OPTION: [^\n]*top-level await[^\n]*\n$/);
  });

  it('shows its commands on --help, with code 0', async () => {
    const { code, stdout } = await runCli(cli.file, ['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/dev-kms/);
    expect(stdout).toMatch(/store/);
  });

  it('reports a database that is not there by its code, without a stack', async () => {
    const args = ['store', 'migrate', '--database-url', 'postgres://nobody@127.0.0.1:1/none'];
    const { code, stderr } = await runCli(cli.file, args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ERR_STORE_UNAVAILABLE: [^\n]+\n$/);
  });
});
