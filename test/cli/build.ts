/** Builds one entry of `src` as it is published, for tests that start real processes. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Built {
  /** Path of the bundle, an ES module. */
  readonly file: string;
  remove(): void;
}

/**
 * @param entry Path below `src`, without `.ts`.
 * @param parent Where to put it. Default: inside the repository, so that packages are found.
 */
export async function buildEntry(entry: string, parent = join(ROOT, '.cache')): Promise<Built> {
  mkdirSync(parent, { recursive: true });
  const outDir = mkdtempSync(join(parent, 'built-'));
  await build({
    config: false,
    cwd: ROOT,
    entry: { built: `src/${entry}.ts` },
    outDir,
    format: 'esm',
    platform: 'node',
    dts: false,
    logLevel: 'error',
  });
  const remove = (): void => {
    rmSync(outDir, { recursive: true, force: true });
  };
  return { file: join(outDir, 'built.mjs'), remove };
}
