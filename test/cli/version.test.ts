/** `fieldseal --version`. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleScript } from '@fieldseal/test-support';
import { expect, it } from 'vitest';
import { runCli } from './cli-process.js';

it('prints the version of the package', async () => {
  const cli = await bundleScript(fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)));
  try {
    const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(packageJson) as { readonly version: string };
    expect(await runCli(cli.file, ['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  } finally {
    cli.remove();
  }
});
