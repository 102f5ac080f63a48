/** Installs the oldest AWS SDK of the peer range, in a project of its own, so that nobody else installs it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export async function setup(): Promise<void> {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const ensureInstall = fileURLToPath(new URL('../../../tools/ensure-install.mjs', import.meta.url));
  await promisify(execFile)(process.execPath, [ensureInstall, folder]);
}
