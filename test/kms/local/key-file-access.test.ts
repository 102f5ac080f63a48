import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createKeyFile } from '../../../src/kms/local/create-key-file.js';
import { checkAccess, readKeyFile, userOf } from '../../../src/kms/local/key-file-access.js';
import { failure } from '../kms.js';
import { expectNoKey, fileWith, keyFile, privateFolder } from './key-files.js';

const OTHER_UID = 65_534;
const isRoot = process.geteuid?.() === 0;

const refusal = async (path: string): Promise<string> =>
  (await failure('ERR_CONFIG_KEK_FILE', readKeyFile(path))).message;

describe('permissions of a key file', () => {
  it.each([0o600, 0o400, 0o700])('%o is taken', async (mode) => {
    const { path, name } = await keyFile();
    chmodSync(path, mode);
    expect((await readKeyFile(path)).name).toBe(name);
  });

  it.each([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o777])('%o is refused', async (mode) => {
    const { path, keyBytes } = await keyFile();
    chmodSync(path, mode);
    const message = await refusal(path);
    expect(message).toContain(
      `${path}: expected a file that its owner alone may use, got mode 0${mode.toString(8)}`,
    );
    expect(message).toContain('chmod 600');
    expectNoKey(message, keyBytes);
  });
});

describe('permissions of its folder', () => {
  it.each([0o700, 0o500, 0o755, 0o711])('%o is taken', async (mode) => {
    const { path, name } = await keyFile();
    chmodSync(dirname(path), mode);
    expect((await readKeyFile(path)).name).toBe(name);
  });

  it.each([0o770, 0o720, 0o702, 0o777, 0o1777])('%o is refused', async (mode) => {
    const { path } = await keyFile();
    chmodSync(dirname(path), mode);
    expect(await refusal(path)).toMatch(
      /expected a folder that its owner alone may write in, got mode 07\d\d;/,
    );
  });

  it('is that of the folder which a link to it leads to', async () => {
    const { path, name } = await keyFile();
    const link = join(privateFolder(), 'keks');
    symlinkSync(dirname(path), link);
    expect((await readKeyFile(join(link, 'a.kek'))).name).toBe(name);
    chmodSync(dirname(path), 0o777);
    expect(await refusal(join(link, 'a.kek'))).toContain('got mode 0777');
  });
});

describe('the owner', () => {
  it.each([
    ['file', 1_000, 1_000],
    ['file', 0, 1_000],
    ['folder', 0, 1_000],
    ['folder', 0, 0],
  ] as const)('of a %s may be user %i for a process of user %i', (kind, uid, process) => {
    expect(() => {
      checkAccess('/k', kind, { uid, mode: 0o600 }, process);
    }).not.toThrow();
  });

  it.each([
    ['file', 1_000, 0],
    ['folder', 1_000, 0],
    ['file', 1_001, 1_000],
    ['folder', 1_001, 1_000],
  ] as const)('of a %s may not be user %i for a process of user %i', (kind, uid, process) => {
    expect(() => {
      checkAccess('/k', kind, { uid, mode: 0o600 }, process);
    }).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_KEK_FILE',
        message: expect.stringContaining(
          `of user ${process}, who runs this process, or of root, got user ${uid}`,
        ) as string,
      }),
    );
  });

  it.skipIf(!isRoot)('of a real file or folder may not be somebody else', async () => {
    const [file, folder] = [await keyFile(), await keyFile()];
    chownSync(file.path, OTHER_UID, OTHER_UID);
    expect(await refusal(file.path)).toContain(`a file of user 0`);
    chownSync(dirname(folder.path), OTHER_UID, OTHER_UID);
    expect(await refusal(folder.path)).toContain(`a folder of user 0`);
  });

  it.skipIf(!isRoot)(
    'without root makes and reads his own file, and is told why not that of root',
    async () => {
      const [own, roots] = [privateFolder(), await keyFile()];
      chownSync(own, OTHER_UID, OTHER_UID);
      chmodSync(dirname(roots.path), 0o755);
      const [created, read, refused] = await asUser(OTHER_UID, async () => [
        await createKeyFile(join(own, 'own.kek')),
        (await readKeyFile(join(own, 'own.kek'))).name,
        await refusal(roots.path),
      ]);
      expect(read).toBe(created);
      expect(refused).toContain('expected a file that this process may read, got EACCES; check its owner');
    },
  );

  it('cannot be told on Windows: refused there', () => {
    expect(() => userOf('C:\\a.kek', { platform: 'win32' })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_KEK_FILE',
        message: expect.stringMatching(/permissions can be checked, got win32; use awsKms there/) as string,
      }),
    );
  });
});

describe('what is no key file', () => {
  it('is refused when it is missing, or its folder is', async () => {
    const { path } = await keyFile();
    for (const missing of [`${path}.gone`, join(dirname(path), 'gone', 'a.kek'), join(path, 'below')]) {
      const { message } = await failure('ERR_KMS_KEK_UNUSABLE', readKeyFile(missing));
      expect(message).toContain(
        `Key file ${missing}: expected a key file, got none; put it back from its backup`,
      );
    }
  });

  it('is refused when it is a link, to a good file as well', async () => {
    const { path } = await keyFile();
    const link = join(dirname(path), 'link.kek');
    symlinkSync(path, link);
    expect(await refusal(link)).toContain('expected a regular file, got a symbolic link');
  });

  it('is refused when it is a folder', async () => {
    const path = join(privateFolder(), 'a.kek');
    mkdirSync(path);
    expect(await refusal(path)).toContain('expected a regular file, got a folder');
  });

  it('is refused when it is a pipe, without waiting for a writer', async () => {
    const path = join(privateFolder(), 'a.kek');
    execFileSync('mkfifo', ['-m', '600', path]);
    expect(await refusal(path)).toContain('expected a regular file, got a pipe, socket or device');
  });

  it('is refused when it is larger than any key file', async () => {
    expect(await refusal(fileWith(Buffer.alloc(1_025)))).toContain('at most 1024 bytes, got more');
    expect(await refusal(fileWith(Buffer.alloc(1_024)))).toContain('line 1');
  });

  it.each(['', '{}', 'fieldseal local-kek v2\n'])('is refused when it holds %j', async (content) => {
    expect(await refusal(fileWith(content))).toContain('line 1');
  });
});

describe('a new key file', () => {
  it('is never written over another, nor through a link', async () => {
    const { path, name } = await keyFile();
    const error = await failure('ERR_CONFIG_KEK_FILE', createKeyFile(path));
    expect(error.message).toMatch(/expected a new file, got one that exists; choose another name/);
    expect((await readKeyFile(path)).name).toBe(name);
    const link = join(dirname(path), 'link.kek');
    symlinkSync(join(dirname(path), 'elsewhere.kek'), link);
    await failure('ERR_CONFIG_KEK_FILE', createKeyFile(link));
  });

  it('needs a folder that is there and that others may not write in', async () => {
    const folder = privateFolder();
    const missing = await failure('ERR_CONFIG_KEK_FILE', createKeyFile(join(folder, 'gone', 'a.kek')));
    expect(missing.message).toContain(
      'got a path whose folder is missing; make the folder with mkdir -m 700',
    );
    chmodSync(folder, 0o770);
    const open = await failure('ERR_CONFIG_KEK_FILE', createKeyFile(join(folder, 'a.kek')));
    expect(open.message).toContain('a folder that its owner alone may write in');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is for its owner alone whatever the umask', async () => {
    const before = process.umask(0);
    try {
      expect((await keyFile()).name).toMatch(/^local:/);
    } finally {
      process.umask(before);
    }
  });

  it('that takes the place of another has another name', async () => {
    const [one, other] = [await keyFile(), await keyFile()];
    renameSync(other.path, one.path);
    expect((await readKeyFile(one.path)).name).toBe(other.name);
    expect(other.name).not.toBe(one.name);
  });

  it('is refused when half of it is gone', async () => {
    const { path, keyBytes } = await keyFile();
    writeFileSync(path, 'fieldseal local-kek v1\n');
    expectNoKey(await refusal(path), keyBytes);
  });
});

/** Runs the work with the rights of another user; root alone can. */
async function asUser<T>(uid: number, work: () => Promise<T>): Promise<T> {
  process.seteuid!(uid);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
  }
}
