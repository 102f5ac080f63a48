/** Runs `npm run demo` and `npm run example` as a user does, but for the installation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Is called with all output so far, whenever there is more. */
  readonly onOutput?: (output: string, interrupt: (signal?: NodeJS.Signals) => void) => void;
}

export async function runProgram(
  name: 'demo' | 'example',
  { env = {}, onOutput }: ProgramOptions = {},
): Promise<Ended> {
  const program = spawn(process.execPath, ['tools/run-example.mjs', name], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [program.stdout, program.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      onOutput?.(Buffer.concat(chunks).toString(), (signal = 'SIGINT') => program.kill(signal));
    });
  }
  // Not before everything that writes to these pipes has ended.
  const [code] = (await once(program, 'close')) as [number | null];
  return { code, output: Buffer.concat(chunks).toString() };
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
