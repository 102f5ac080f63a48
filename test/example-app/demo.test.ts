/** `npm run demo`, to its end and interrupted; `npm run example`, until Ctrl-C. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { canariesIn } from '@fieldseal/test-support';
import { beforeAll, describe, expect, it } from 'vitest';
import { SECRETS } from '../../example-app/lib/demo/typed-in.js';
import { isRunning, runProgram, type Ended } from './run-program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

beforeAll(() => {
  execFileSync(process.execPath, ['tools/ensure-example.mjs'], { cwd: root });
}, 120_000);

const pidsIn = (output: string): number[] =>
  [...output.matchAll(/tier\s+process (\d+)/gu)].map(([, pid]) => Number(pid));

/** It came to its end, stopped all its tiers, and printed nothing of what was typed in. */
function expectEnd({ code, output }: Ended, tiers: number): void {
  expect(output).toContain('Everything that was started is stopped now.');
  expect(code).toBe(0);
  expect(pidsIn(output)).toHaveLength(tiers);
  expect(pidsIn(output).filter(isRunning)).toEqual([]);
  const secrets = SECRETS.map((text) => Buffer.from(text));
  expect(canariesIn(Buffer.from(output).toString('latin1'), secrets)).toEqual([]);
}

describe('npm run demo', () => {
  it('tells the whole story with real output', async () => {
    const { code, output } = await runProgram('demo');
    expect(output).toMatch(/name {5}\(cell\)\s+f511[0-9a-f]{36}…, \d+ bytes/u);
    expect(output.match(/pan {6}\(cell\)\s+f511[0-9a-f]{36}…, 185 bytes/gu)).toHaveLength(2);
    expect(output.match(/42501: permission denied/gu)).toHaveLength(4);
    expect(output).toMatch(/open the cards\s+ERR_KMS_DENIED: .*AccessDeniedException/u);
    expect(output).toMatch(/•••• 1111 19\.99 EUR charged\n.*•••• 0002 19\.99 EUR declined/u);
    expect(output).toMatch(/after kill -9\s+•••• 4444 19\.99 EUR pending/u);
    expect(output).toMatch(/bookings of this charge\s+1, asked for 2 times/u);
    expect(output.match(/failed, ERR_OPEN_FAILED/gu)).toHaveLength(2);
    expect(output).toMatch(/web\s+\+GenerateDataKey \d+, -Decrypt/u);
    expect(output).toMatch(/payment\s+\+Decrypt \d+\n/u);
    expect(output).toMatch(/seen\s+none of 9/u);
    expectEnd({ code, output }, 2);
  }, 120_000);

  it('tells it with cards that are sealed to key pairs', async () => {
    const { code, output } = await runProgram('demo', { env: { CARD_DELIVERY: 'sealed' } });
    expect(output).toMatch(/name {5}\(cell\)\s+f511[0-9a-f]{36}…, \d+ bytes/u);
    expect(output.match(/pan {6}\(cell\)\s+f521[0-9a-f]{36}…, 179 bytes/gu)).toHaveLength(2);
    expect(output.match(/42501: permission denied/gu)).toHaveLength(6);
    expect(output).toMatch(
      /decrypt a private key\s+User: \S+\/web is not authorized to perform: kms:Decrypt/u,
    );
    expect(output).toMatch(/open the cards\s+ERR_KMS_DENIED: .*AccessDeniedException/u);
    expect(output).toMatch(/•••• 1111 19\.99 EUR charged\n.*•••• 0002 19\.99 EUR declined/u);
    expect(output).toMatch(/bookings of this charge\s+1, asked for 2 times/u);
    expect(output.match(/failed, ERR_OPEN_FAILED/gu)).toHaveLength(2);
    expect(output).toMatch(/web\s+\+GenerateDataKey \d+, -Decrypt/u);
    expect(output).toMatch(/payment\s+\+Decrypt \d+\n/u);
    expect(output).toMatch(
      /keys\s+\+DescribeKey .*\+GenerateDataKeyPairWithoutPlaintext 18, \+Decrypt \d+\n/u,
    );
    expect(output).toMatch(/seen\s+none of 9/u);
    expectEnd({ code, output }, 3);
  }, 120_000);

  it('stops what it started when it is interrupted', async () => {
    let isInterrupted = false;
    const { code, output } = await runProgram('demo', {
      onOutput: (soFar, interrupt) => {
        if (isInterrupted || !soFar.includes('Register a customer')) return;
        isInterrupted = true;
        interrupt();
      },
    });
    expect(output).toMatch(/\nInterrupted\n[^]*  Everything that was started is stopped\.\n$/u);
    expect(output).not.toContain('Rows edited by hand');
    expect(code).toBe(0);
    expect(pidsIn(output).filter(isRunning)).toEqual([]);
  }, 120_000);
});

it.each([
  ['demo', 'pigeon'],
  ['example', 'pigeon'],
  ['demo', 'pool'],
] as const)(
  'npm run %s says what CARD_DELIVERY may be, before it starts anything, where it is %s',
  async (program, CARD_DELIVERY) => {
    const { code, output } = await runProgram(program, { env: { CARD_DELIVERY } });
    expect(output).toMatch(
      new RegExp(`\nCARD_DELIVERY: expected envelope or sealed, got ${CARD_DELIVERY}\n$`, 'u'),
    );
    expect(output).not.toMatch(/^(?: +at |Start|Failed)/mu);
    expect(code).toBe(1);
  },
  60_000,
);

it('does not run in production', async () => {
  const { code, output } = await runProgram('demo', { env: { NODE_ENV: 'production' } });
  expect(output).toContain('ERR_CONFIG_OPTION: The KMS emulator does not start under NODE_ENV=production');
  expect(output).not.toMatch(/^ +at /mu);
  expect(code).toBe(1);
}, 60_000);

describe('npm run example', () => {
  it.each([
    ['envelope', 0],
    ['sealed', 1],
  ])(
    'prints where the shop is, and ends at Ctrl-C, with %s cards',
    async (CARD_DELIVERY, keyStores) => {
      let page: Promise<string> | undefined;
      const { code, output } = await runProgram('example', {
        env: { PORT: '0', CARD_DELIVERY },
        onOutput: (soFar, interrupt) => {
          const [, url] = /The shop: (http:\S+)\n/u.exec(soFar) ?? [];
          if (url === undefined || page !== undefined) return;
          page = fetch(url)
            .then((response) => response.text())
            .finally(interrupt);
        },
      });
      expect(await page).toContain('<h1>Register</h1>');
      expect(output.match(/Its key store, as the owner: postgres/gu) ?? []).toHaveLength(keyStores);
      expect(output).toContain('\nInterrupted\n');
      // After the last words of the tiers.
      expect(output).toMatch(/"reason":"SIGTERM"[^]*\n  Everything that was started is stopped\.\n$/u);
      expect(code).toBe(0);
    },
    60_000,
  );

  it('ends with whoever has started it', async () => {
    let url: string | undefined;
    await runProgram('example', {
      env: { PORT: '0' },
      onOutput: (soFar, kill) => {
        [, url] = /The shop: (http:\S+)\n/u.exec(soFar) ?? [];
        if (url !== undefined) kill('SIGKILL');
      },
    });
    await expect(fetch(url!)).rejects.toThrow('fetch failed');
  }, 60_000);

  it('stops everything when npm alone is told to end', async () => {
    let url: string | undefined;
    const { output } = await runProgram('example', {
      command: ['npm', 'run', 'example'],
      env: { PORT: '0' },
      onOutput: (soFar, kill) => {
        if (url !== undefined) return;
        [, url] = /The shop: (http:\S+)\n/u.exec(soFar) ?? [];
        if (url !== undefined) kill('SIGTERM');
      },
    });
    expect(output).toMatch(/\n  Everything that was started is stopped\.\n/u);
    await expect(fetch(url!)).rejects.toThrow('fetch failed');
  }, 60_000);

  it('says in one line that its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, output } = await runProgram('example', { env: { PORT: String(port) } });
    server.close();
    expect(output).toMatch(
      new RegExp(`\n  Port ${port} of 127\\.0\\.0\\.1 is taken; set PORT to another one\n$`, 'u'),
    );
    expect(output).not.toMatch(/EADDRINUSE|"level":60/u);
    expect(code).toBe(1);
  }, 60_000);

  it('says what is wrong with its port', async () => {
    const { code, output } = await runProgram('example', { env: { PORT: 'http' } });
    expect(output).toContain('PORT: expected a number from 0 to 65535.');
    expect(code).toBe(1);
  }, 60_000);
});
