/** Other processes with key sources on one key store: `source-process.ts`, built once for a test file. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { expect, vi } from 'vitest';
import type { KmsEmulator } from '../../src/kms/emulator/emulator.js';
import { SCOPE } from './fixture.js';
import type { Order, ProcessSetup, Report } from './source-process.js';

export interface WorkerSetup extends Partial<Omit<ProcessSetup, 'kms'>> {
  readonly emulator: KmsEmulator;
  readonly databaseUrl: string;
}

export class Workers {
  readonly #folder: string;
  readonly #workers: Worker[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async build(): Promise<Workers> {
    // Below the checkout, so that the built program finds its packages.
    mkdirSync('.cache', { recursive: true });
    const folder = mkdtempSync(join(process.cwd(), '.cache', 'service-'));
    const entry = join(import.meta.dirname, 'source-process.ts');
    await build({
      configFile: false,
      logLevel: 'error',
      build: { ssr: entry, outDir: folder, target: 'node20', minify: false },
    });
    return new Workers(folder);
  }

  /** A process that waits for orders. */
  async spawn({ emulator, ...options }: WorkerSetup): Promise<Worker> {
    const setup: ProcessSetup = {
      ...{ ...SCOPE, manage: true, clockErrorMs: 0, settings: {} },
      ...options,
      kms: {
        region: emulator.region,
        endpoint: emulator.endpoint,
        credentials: emulator.credentials(),
        keks: { [SCOPE.purpose]: ['alias/card-a', 'alias/card-b'] },
      },
    };
    const program = join(this.#folder, 'source-process.js');
    const worker = new Worker(fork(program, [JSON.stringify(setup)], { stdio: 'inherit' }));
    this.#workers.push(worker);
    await worker.next('ready');
    return worker;
  }

  async killAll(): Promise<void> {
    for (const worker of this.#workers.splice(0)) await killWorker(worker);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

export class Worker {
  readonly child: ChildProcess;
  readonly #reports: Report[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (report: Report) => void this.#reports.push(report));
  }

  tell(order: Order): void {
    this.child.send(order);
  }

  /** The next report of this type; a failure that comes instead is thrown. */
  async next<Type extends Report['type']>(type: Type): Promise<Extract<Report, { readonly type: Type }>> {
    const report = await vi.waitFor(
      () => {
        const at = this.#reports.findIndex((one) => one.type === type || one.type === 'failed');
        if (at < 0) throw new Error(`no report "${type}" yet`);
        return this.#reports.splice(at, 1)[0];
      },
      { timeout: 10_000, interval: 10 },
    );
    expect(report).toMatchObject({ type });
    return report as Extract<Report, { readonly type: Type }>;
  }
}

export async function killWorker({ child }: Worker): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
