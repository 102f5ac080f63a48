/** `npm run demo`, to its end and interrupted. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

beforeAll(() => {
  execFileSync(process.execPath, ['tools/ensure-build.mjs'], { cwd: root });
}, 60_000);

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs the demo; sends it a signal as soon as it has printed `interruptAt`. */
async function runDemo(interruptAt?: string): Promise<Ended> {
  const demo = spawn(process.execPath, ['tools/run-demo.mjs'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let interrupted = false;
  for (const stream of [demo.stdout, demo.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (interruptAt === undefined || interrupted || !output.includes(interruptAt)) return;
      interrupted = true;
      demo.kill('SIGINT');
    });
  }
  const [code] = (await once(demo, 'close')) as [number | null];
  return { code, output };
}

it('tells the whole story with real output', async () => {
  const { code, output } = await runDemo();
  expect(output).toMatch(/pan_bidx \(blind index\)\s+[0-9a-f]{32}\n/u);
  expect(output).toMatch(/\(cell\)\s+f501[0-9a-f]{128}, 66 bytes/u);
  expect(output).toMatch(/same card\s+true/u);
  // 250 customers with a name and an address, 250 cards.
  expect(output).toMatch(/cells sealed\s+750\n/u);
  expect(output.match(/refused\s+ERR_OPEN_FAILED/gu)).toHaveLength(2);
  expect(output.match(/[0-9a-f-]{36}\s+\d+ rows/gu)?.length).toBeGreaterThan(0);
  expect(output).toContain('Everything that was started is stopped now.');
  expect(code).toBe(0);
}, 120_000);

it('stops what it started when it is interrupted', async () => {
  const { code, output } = await runDemo('Save customers');
  expect(output).toContain('Interrupted');
  expect(output).not.toContain('Rows per key');
  expect(code).toBe(0);
}, 120_000);
