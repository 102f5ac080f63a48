import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bundleScript, startScript } from '../support/index.mjs';

let script: Awaited<ReturnType<typeof bundleScript>>;

beforeAll(async () => {
  script = await bundleScript(fileURLToPath(new URL('exit-process.ts', import.meta.url)));
});

afterAll(() => {
  script.remove();
});

it('a process with an open field seal ends by itself when its work is done', async () => {
  const started = performance.now();
  const end = await startScript(script.file, ['leave-open']).ended;
  expect(end).toMatchObject({ code: 0, signal: null, stdout: 'done', stderr: '' });
  expect(performance.now() - started).toBeLessThan(10_000);
});

it('close() leaves no timer and no other resource behind', async () => {
  const end = await startScript(script.file, ['close']).ended;
  expect(end).toMatchObject({ code: 0, stdout: 'nothing left\ndone', stderr: '' });
});
