/** Runs the built `fieldseal` binary in processes of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Resolves once stdout holds the text; rejects when the process ends before. */
  printed(text: string): Promise<string>;
  readonly finished: Promise<Finished>;
}

export function startCli(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  return startProgram(process.execPath, [file, ...args], env);
}

export function startProgram(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(program, args, {
    env: { ...process.env, NODE_ENV: 'test', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const printed = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.includes(text)) resolve(stdout);
      };
      child.stdout.on('data', look);
      look();
      void finished.then(() => {
        reject(new Error(`ended without printing ${text}: ${stderr}`));
      });
    });
  return { child, printed, finished };
}

export function runCli(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  return startCli(file, args, env).finished;
}
