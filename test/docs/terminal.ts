/** A reader's terminals: the commands of a document, run by a shell in the folder of a packed project. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { PackedProject } from '../package/packed-project.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Commands of packages that a reader's project has beside fieldseal. */
const BINARIES = { tsc: 'typescript/bin/tsc', typeorm: 'typeorm/cli.js' };

/** For `npx`. */
export async function linkBinaries({ folder }: PackedProject): Promise<void> {
  const bin = join(folder, 'node_modules/.bin');
  await mkdir(bin, { recursive: true });
  for (const [name, file] of Object.entries(BINARIES)) {
    await chmod(join(root, 'node_modules', file), 0o755);
    await symlink(join(root, 'node_modules', file), join(bin, name));
  }
}

/** Rejects when a command fails. */
export function runShell(
  { folder }: PackedProject,
  commands: string,
): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)('bash', ['--norc', '-euc', commands], { cwd: folder, env: terminal() });
}

/** A command that goes on until it is stopped, in a process group of its own. */
export function startShell({ folder }: PackedProject, commands: string): ChildProcess {
  return spawn('bash', ['--norc', '-euc', commands], {
    cwd: folder,
    env: terminal(),
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

export async function stopShell(shell: ChildProcess): Promise<void> {
  if (shell.exitCode !== null) return;
  process.kill(-shell.pid!, 'SIGTERM');
  await once(shell, 'close');
}

/** All that it has printed, once this is in it. */
export function printed(shell: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    shell.stdout!.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (pattern.test(output)) resolve(output);
    });
    shell.on('close', () => {
      reject(new Error(`ended without printing ${String(pattern)}`));
    });
  });
}

/** A new terminal: nothing of the test run's own settings, but where programs are and what is no concern of the page. */
function terminal(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return {
    PATH,
    HOME,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    npm_config_update_notifier: 'false',
  };
}
