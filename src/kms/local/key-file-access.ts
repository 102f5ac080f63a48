/** Reading key files, and who else could read or replace them. */
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isError, KmsError } from '../../errors.js';
import { keyFileError, parseKeyFile } from './key-file.js';
import type { LocalKek } from './local-kek.js';

/** Owner and mode, as `stat` gives them. */
export interface Access {
  readonly uid: number;
  readonly mode: number;
}

interface AccessRule {
  /** Permission bits that nobody may have. POSIX ACLs for others show in the group's bits (acl(5)). */
  readonly forbidden: number;
  readonly expected: string;
  readonly advice: string;
}

const RULES = {
  file: {
    forbidden: 0o077,
    expected: 'a file that its owner alone may use',
    advice: 'run chmod 600 on it, and replace the KEK if others could read it',
  },
  folder: {
    forbidden: 0o022,
    expected: 'a folder that its owner alone may write in',
    advice: 'run chmod go-w on the folder, or keep the file in one of its own',
  },
} as const satisfies Record<string, AccessRule>;

const ROOT_UID = 0;

/** More than any key file has, bytes. */
const MAX_FILE_BYTES = 1_024;

/** O_NOFOLLOW: no link in the file's place. O_NONBLOCK: a pipe there does not stop the start. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const MISSING: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/** What O_NOFOLLOW gives for a link: Linux and macOS, FreeBSD. */
const LINK: ReadonlySet<string> = new Set(['ELOOP', 'EMLINK']);

/**
 * The KEK in a key file. Type, owner and mode are those of the opened file, so that it cannot be exchanged in between.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE` for a file that others may use or replace, that is no key file, or that cannot
 *   be read; KmsError `ERR_KMS_KEK_UNUSABLE` when there is none.
 */
export async function readKeyFile(path: string): Promise<LocalKek> {
  const uid = userOf(path);
  const file = await openFile(path);
  const bytes = Buffer.alloc(MAX_FILE_BYTES + 1);
  try {
    const found = await file.stat();
    if (!found.isFile()) {
      const got = found.isDirectory() ? 'a folder' : 'a pipe, socket or device';
      throw keyFileError(path, 'a regular file', got, 'name a key file');
    }
    checkAccess(path, 'file', found, uid);
    await checkFolder(path, uid);
    const length = await readInto(bytes, file);
    if (length > MAX_FILE_BYTES)
      throw keyFileError(path, `at most ${MAX_FILE_BYTES} bytes`, 'more', 'name a key file');
    return parseKeyFile(bytes.subarray(0, length), path);
  } finally {
    bytes.fill(0);
    await file.close();
  }
}

/**
 * Effective user of this process.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE` on Windows: Node shows no owner and no real mode there, and a file that
 *   everybody may read looks like one that nobody may.
 */
export function userOf(path: string, system: Pick<NodeJS.Process, 'geteuid' | 'platform'> = process): number {
  if (system.geteuid !== undefined) return system.geteuid();
  const expected = 'a system whose file permissions can be checked';
  throw keyFileError(path, expected, system.platform, 'use awsKms there');
}

/**
 * Refuses a folder in which others could put another file in the place of this one.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE`; an error of Node when the folder is missing.
 */
export async function checkFolder(path: string, uid: number): Promise<void> {
  checkAccess(path, 'folder', await stat(dirname(path)), uid);
}

/**
 * Refuses a file or folder of another user, or that others may use. Whoever may write in a folder further up can put
 * folders of his own there, which are refused by their owner.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE`.
 */
export function checkAccess(path: string, kind: keyof typeof RULES, access: Access, uid: number): void {
  const { forbidden, expected, advice } = RULES[kind];
  if (access.uid !== uid && access.uid !== ROOT_UID) {
    const owner = `a ${kind} of user ${uid}, who runs this process, or of root`;
    throw keyFileError(path, owner, `user ${access.uid}`, 'find out who put it there, then run chown');
  }
  if ((access.mode & forbidden) !== 0)
    throw keyFileError(path, expected, `mode ${octal(access.mode)}`, advice);
}

/** The name of a Node error, such as `EACCES`. */
export function errnoOf(error: unknown): string {
  const code = isError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'an unknown error';
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, OPEN_FLAGS);
  } catch (error) {
    throw refusal(path, errnoOf(error));
  }
}

function refusal(path: string, errno: string): Error {
  if (MISSING.has(errno)) {
    return new KmsError(
      'ERR_KMS_KEK_UNUSABLE',
      `Key file ${path}: expected a key file, got none; put it back from its backup. Keys under a KEK that is lost are lost.`,
    );
  }
  if (LINK.has(errno))
    return keyFileError(path, 'a regular file', 'a symbolic link', 'name the file that it leads to');
  return keyFileError(path, 'a file that this process may read', errno, 'check its owner and mode');
}

/** Reads until the buffer is full or the file ends. FileHandle.readFile would leave copies that nobody wipes. */
async function readInto(bytes: Buffer, file: FileHandle): Promise<number> {
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length);
    length += bytesRead;
    if (bytesRead === 0 || length === bytes.length) return length;
  }
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
