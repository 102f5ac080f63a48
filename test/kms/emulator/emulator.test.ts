import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DecryptCommand,
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
    await emulator({ stateFile: join(path, 'state.json'), createKeys: ['alias/a'] });
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
});
