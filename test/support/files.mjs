/** Temporary folders that another OS user can reach, and their ownership. */
import { chownSync, lchownSync, readdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** os.tmpdir(), or /tmp where the server's user could not enter it (TMPDIR below /root). */
export function temporaryBase(identity) {
  const base = os.tmpdir();
  return identity.uid === undefined || isOpenToAll(base) ? base : '/tmp';
}

function isOpenToAll(folder) {
  const open = (statSync(folder).mode & 0o001) !== 0;
  const parent = path.dirname(folder);
  return open && (parent === folder || isOpenToAll(parent));
}

/** Gives the folder and all below it to the user. Does nothing without an identity. */
export function chownTree(folder, { uid, gid }) {
  if (uid === undefined) return;
  chownSync(folder, uid, gid);
  for (const entry of readdirSync(folder, { recursive: true }))
    lchownSync(path.join(folder, entry), uid, gid);
}
