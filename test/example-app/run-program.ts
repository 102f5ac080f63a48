/** Runs `npm run demo` and `npm run example` as a user does, but for the installation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Longer than any program runs; a program that does not end is a failure, and must not outlive the tests. */
const END_MS = 55_000;

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: what npm runs. */
  readonly command?: readonly [file: string, ...args: string[]];
  /** Is called with all output so far, whenever there is more. */
  readonly onOutput?: (output: string, interrupt: (signal?: NodeJS.Signals) => void) => void;
}

export async function runProgram(
  name: 'demo' | 'example',
  { env = {}, command = [process.execPath, 'tools/run-example.mjs', name], onOutput }: ProgramOptions = {},
): Promise<Ended> {
  const [file, ...args] = command;
  const program = spawn(file, args, {
    cwd: root,
    env: { ...withoutNpm(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that all of it can be ended.
    detached: true,
  });
  const tooLong = setTimeout(() => process.kill(-program.pid!, 'SIGKILL'), END_MS);
  const chunks: Buffer[] = [];
  for (const stream of [program.stdout, program.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      onOutput?.(Buffer.concat(chunks).toString(), (signal = 'SIGINT') => program.kill(signal));
    });
  }
  // Not before everything that writes to these pipes has ended.
  const [code] = (await once(program, 'close')) as [number | null];
  clearTimeout(tooLong);
  return { code, output: Buffer.concat(chunks).toString() };
}

/** npm passes its own settings on to the scripts that it runs; a nested npm must not take them over. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^npm_/iu.test(name)));
}

/** Whether a process of this number is there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
