import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  EncryptCommand,
  RotateKeyOnDemandCommand,
} from '@aws-sdk/client-kms';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startKmsEmulator } from '../../../src/kms/emulator/emulator.js';
import { after, client, emulator, exceptionOf, failure } from '../kms.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fieldseal-kms-'));
  after(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

describe('the emulator', () => {
  it('listens on loopback alone', async () => {
    const kms = await emulator();
    expect(kms.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('does not start in production', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const error = await failure('ERR_CONFIG_OPTION', startKmsEmulator());
    expect(error.message).toContain('NODE_ENV=production');
  });

  it('says when its port is taken', async () => {
    const kms = await emulator();
    const port = Number(new URL(kms.endpoint).port);
    const error = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ port }));
    expect(error.message).toContain('EADDRINUSE');
  });

  it('refuses a fault that would never come, of an operation or a name that there is none of', async () => {
    const { faults } = await emulator();
    for (const [operation, fault] of [
      ['Decript', 'close'],
      ['Decrypt', 'clothes'],
      ['Decrypt', 'toString'],
    ]) {
      expect(() => {
        faults.inject(operation!, fault as 'close');
      }).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_OPTION' }));
    }
  });

  it('says in its answer why a change is not in the state file', async () => {
    const path = folder();
    const kms = await emulator({ stateFile: join(path, 'state.json'), createKeys: ['alias/a'] });
    rmSync(path, { recursive: true });
    const created = client(kms).send(new CreateKeyCommand());
    await expect(created).rejects.toMatchObject({
      name: 'KMSInternalException',
      message: expect.stringMatching(/state\.json could not be written \(ENOENT\)/u) as string,
    });
  });

  it('makes keys for aliases that are missing, and leaves the others', async () => {
    const stateFile = join(folder(), 'state.json');
    const first = await emulator({ stateFile, createKeys: ['alias/a'] });
    const before = await client(first).send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    await first.close();
    const second = await emulator({ stateFile, createKeys: ['alias/a', 'alias/b'] });
    const later = await client(second).send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    expect(later.KeyMetadata?.Arn).toBe(before.KeyMetadata?.Arn);
    expect(await exceptionOf(client(second).send(new DescribeKeyCommand({ KeyId: 'alias/b' })))).toBe(
      'success',
    );
  });

  it('refuses names of keys that are no aliases', async () => {
    await failure('ERR_CONFIG_OPTION', startKmsEmulator({ createKeys: ['card-a'] }));
    await failure('ERR_CONFIG_OPTION', startKmsEmulator({ createMacKeys: ['card-mac'] }));
  });

  it('makes MAC keys for aliases that are missing, and tells the ARN behind each alias', async () => {
    const stateFile = join(folder(), 'state.json');
    const first = await emulator({ stateFile, createKeys: ['alias/a'], createMacKeys: ['alias/mac'] });
    const described = await Promise.all(
      ['alias/a', 'alias/mac'].map((KeyId) => client(first).send(new DescribeKeyCommand({ KeyId }))),
    );
    expect(described.map(({ KeyMetadata }) => [KeyMetadata!.KeySpec, KeyMetadata!.KeyUsage])).toEqual([
      ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
      ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ]);
    const arns = described.map(({ KeyMetadata }) => KeyMetadata!.Arn);
    expect(first.aliases()).toEqual({ 'alias/a': arns[0], 'alias/mac': arns[1] });
    await client(first).send(new DeleteAliasCommand({ AliasName: 'alias/a' }));
    expect(first.aliases()).toEqual({ 'alias/mac': arns[1] });
    await first.close();
    const second = await emulator({ stateFile, createMacKeys: ['alias/mac'] });
    expect(second.aliases()).toEqual({ 'alias/mac': arns[1] });
  });

  it.each([
    [
      { createMacKeys: ['alias/a', 'alias/new'] },
      /createMacKeys: expected alias\/a to be .*HMAC_256.*got .*SYMMETRIC_DEFAULT/,
    ],
    [
      { createKeys: ['alias/mac', 'alias/new'] },
      /createKeys: expected alias\/mac to be .*SYMMETRIC_DEFAULT.*got .*HMAC_256/,
    ],
    [{ createKeys: ['alias/new'], createMacKeys: ['alias/new'] }, /alias\/new.*createKeys and createMacKeys/],
  ])('refuses an alias of another kind of key, and makes nothing: %j', async (options, message) => {
    const stateFile = join(folder(), 'state.json');
    const first = await emulator({ stateFile, createKeys: ['alias/a'], createMacKeys: ['alias/mac'] });
    await first.close();
    const before = readFileSync(stateFile, 'utf8');
    const error = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile, ...options }));
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/Name another alias/);
    expect(readFileSync(stateFile, 'utf8')).toBe(before);
  });

  it('closes twice, and with a call under way', async () => {
    const kms = await emulator({ createKeys: ['alias/a'] });
    kms.faults.inject('*', 'hang');
    const hanging = exceptionOf(client(kms).send(new DescribeKeyCommand({ KeyId: 'alias/a' })));
    await vi.waitFor(() => {
      expect(kms.audit()).toHaveLength(1);
    });
    await kms.close();
    await kms.close();
    expect(await hanging).not.toBe('success');
  });
});

describe('the state file', () => {
  it('keeps keys with all their materials', async () => {
    const stateFile = join(folder(), 'state.json');
    const first = await emulator({ stateFile, createKeys: ['alias/a'] });
    const { CiphertextBlob } = await client(first).send(
      new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from('kept') }),
    );
    await client(first).send(new RotateKeyOnDemandCommand({ KeyId: 'alias/a' }));
    await first.close();
    const second = await emulator({ stateFile });
    const { Plaintext } = await client(second).send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(Plaintext ?? []).toString()).toBe('kept');
  });

  it('is readable for its owner alone, and leaves no temporary file', async () => {
    const path = folder();
    const kms = await emulator({ stateFile: join(path, 'state.json'), createKeys: ['alias/a'] });
    await kms.close();
    expect(statSync(join(path, 'state.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(path)).toEqual(['state.json']);
  });

  it.each(['{"format":', '{}', '', '{"format":"fieldseal-kms-emulator/1","keys":[{}],"aliases":{}}'])(
    'that is damaged (%s) is refused with a clear message and left as it is',
    async (content) => {
      const stateFile = join(folder(), 'state.json');
      writeFileSync(stateFile, content);
      const error = await failure(
        'ERR_CONFIG_OPTION',
        startKmsEmulator({ stateFile, createKeys: ['alias/a'] }),
      );
      expect(error.message).toMatch(/is damaged.*left as it is/);
      expect(readFileSync(stateFile, 'utf8')).toBe(content);
    },
  );

  it('cut at any length is never taken for a smaller one', async () => {
    const stateFile = join(folder(), 'state.json');
    const kms = await emulator({ stateFile, createKeys: ['alias/a', 'alias/b'] });
    await kms.close();
    const whole = readFileSync(stateFile);
    for (let length = 0; length < whole.length - 1; length += 101) {
      writeFileSync(stateFile, whole.subarray(0, length));
      await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile }));
    }
  });

  it('that cannot be written refuses the change', async () => {
    const path = folder();
    const kms = await emulator({ stateFile: join(path, 'state.json'), createKeys: ['alias/a'] });
    const before = await client(kms).send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    rmSync(path, { recursive: true, force: true });
    const rotate = client(kms).send(new RotateKeyOnDemandCommand({ KeyId: 'alias/a' }));
    expect(await exceptionOf(rotate)).toBe('KMSInternalException');
    const later = await client(kms).send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    expect(later.KeyMetadata).toEqual(before.KeyMetadata);
  });

  it('is of one emulator at a time', async () => {
    const stateFile = join(folder(), 'state.json');
    const first = await emulator({ stateFile, createKeys: ['alias/a'] });
    const error = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile }));
    expect(error.message).toContain(`State file ${stateFile}: expected no other emulator on it`);
    expect(error.message).toContain(`process ${process.pid}`);
    expect(error.message).toContain(`${stateFile}.lock`);
    await first.close();
    await emulator({ stateFile });
  });

  it('is free again after a start that failed', async () => {
    const stateFile = join(folder(), 'state.json');
    const other = await emulator();
    const port = Number(new URL(other.endpoint).port);
    await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile, port }));
    await emulator({ stateFile });
  });

  it.each([
    ['a process that is gone', () => deadPid().then((pid) => `${pid} 1`)],
    ['an earlier process of this number', () => Promise.resolve(`${process.pid} 1`)],
    ['a process that got no further than making it', () => Promise.resolve('')],
  ])('is taken over from %s', async (_who, content) => {
    const stateFile = join(folder(), 'state.json');
    writeFileSync(`${stateFile}.lock`, await content());
    const kms = await emulator({ stateFile });
    await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile }));
    await kms.close();
    expect(existsSync(`${stateFile}.lock`)).toBe(false);
  });

  it('in a folder that is not there is refused', async () => {
    const stateFile = join(folder(), 'none', 'state.json');
    const error = await failure('ERR_CONFIG_OPTION', startKmsEmulator({ stateFile }));
    expect(error.message).toMatch(/State file \S+: expected a folder that can be written to, got ENOENT/);
  });
});

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}
