/** Making key files. */
import { randomFillSync } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isFieldSealError } from '../../errors.js';
import { checkFolder, errnoOf, readKeyFile, userOf } from './key-file-access.js';
import { formatKeyFile, keyFileError } from './key-file.js';

const KEY_BYTES = 32;
const OWNER_ONLY = 0o600;

/** What the failures of making a file mean; others are told by their name. */
const FAILURES: ReadonlyMap<string, readonly [got: string, advice: string]> = new Map([
  ['EEXIST', ['one that exists', 'choose another name: keys under a KEK that is overwritten are lost']],
  ['ENOENT', ['a path whose folder is missing', 'make the folder with mkdir -m 700']],
]);

/**
 * Makes a key file with a new random KEK, mode 0600, and reads it back.
 * @returns The name of the KEK, `local:<id>`.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE` when the file exists, or its folder is missing or open to others.
 */
export async function createKeyFile(path: string): Promise<string> {
  const uid = userOf(path);
  const keyBytes = randomFillSync(Buffer.alloc(KEY_BYTES));
  const bytes = formatKeyFile(keyBytes);
  try {
    await failingFor(path, checkFolder(path, uid));
    await failingFor(path, writeNew(path, bytes));
  } finally {
    keyBytes.fill(0);
    bytes.fill(0);
  }
  return (await readKeyFile(path)).name;
}

/** `wx`: with O_EXCL neither a file nor a link that stands there is written to. A file that is not whole is removed. */
async function writeNew(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(bytes);
    await file.sync();
    await syncFolder(path);
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await file.close();
  }
}

/** A new file is only durable once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function failingFor(path: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (isFieldSealError(error)) throw error;
    const errno = errnoOf(error);
    const [got, advice] = FAILURES.get(errno) ?? [errno, 'check the folder and the space on the disk'];
    throw keyFileError(path, 'a new file', got, advice);
  }
}
