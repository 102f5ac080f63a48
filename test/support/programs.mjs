/** Programs of this machine. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** Where packages put a server, which is not on every user's PATH. */
const BESIDE_PATH = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', '/usr/local/bin'];

/** The path of the program, or undefined where it is not installed. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...BESIDE_PATH];
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}
