/** One tier as a child process, with nothing of this process's environment but what it needs. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const START_TIMEOUT_MS = 20_000;

/** A line of a tier's log. */
export interface LogLine {
  readonly msg?: string;
  readonly url?: string;
  readonly [name: string]: unknown;
}

export interface TierProcess {
  readonly pid: number;
  /** Everything that it wrote to its two outputs so far. */
  readonly output: () => string;
  /** @throws TierError when it ends instead, or takes too long. */
  ready(): Promise<LogLine>;
  /** The first line with this message, written already or to come; rejects with a TierError when it ends without. */
  line(msg: string): Promise<LogLine>;
  /** Ends it in order, or at once with SIGKILL. Settles when it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** A tier that ended when it should not have; the message has what it wrote. */
export class TierError extends Error {
  override readonly name = 'TierError';
  /** Why, where the tier said it in one sentence. */
  readonly reason: string | undefined;

  constructor(message: string, reason?: string) {
    super(message);
    this.reason = reason;
  }
}

/** pino's number for `fatal`. */
const FATAL = 60;

/** Of a line that says in one sentence, without an error of somebody else, what kept a tier from starting. */
export function reasonIn(line: string): string | undefined {
  const { level, msg, err } = parseLine(line);
  return level === FATAL && err === undefined ? msg : undefined;
}

export interface TierOptions {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  /** Is told each line of output. */
  readonly onLine?: (line: string) => void;
}

export function startTier({ program, env, onLine }: TierOptions): TierProcess {
  const child = fork(program, { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe', execArgv: [] });
  return new Tier(child, onLine);
}

class Tier implements TierProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  constructor(child: ChildProcess, onLine: ((line: string) => void) | undefined) {
    this.#child = child;
    this.#onLine = onLine;
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on('line', (line) => this.#heard(line));
    this.#ended = once(child, 'close').then(() => {
      this.#hasEnded = true;
      this.#check();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  readonly output = (): string => this.#lines.join('\n');

  async ready(): Promise<LogLine> {
    const timeout = setTimeout(() => this.#child.kill('SIGKILL'), START_TIMEOUT_MS);
    try {
      return await this.line('ready');
    } finally {
      clearTimeout(timeout);
    }
  }

  line(msg: string): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.#lines.map(parseLine).find((line) => line.msg === msg);
        if (found === undefined && !this.#hasEnded) return;
        this.#waiting.delete(look);
        if (found !== undefined) resolve(found);
        else
          reject(
            new TierError(
              `The process ended before it wrote "${msg}". It wrote:\n${this.output()}`,
              this.#lines.map(reasonIn).find((reason) => reason !== undefined),
            ),
          );
      };
      this.#waiting.add(look);
      look();
    });
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  #heard(line: string): void {
    this.#lines.push(line);
    this.#onLine?.(line);
    this.#check();
  }

  #check(): void {
    for (const look of [...this.#waiting]) look();
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return {};
  }
}
