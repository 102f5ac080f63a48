/** The documents in the tarball: their links lead to files that are in it. A registry and node_modules have no others. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);

it('no packed document links to a file that is not packed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fieldseal-links-'));
  try {
    const files = await unpack(folder);
    const documents = files.filter((path) => path.endsWith('.md'));
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/policies.md']));
    const dead = await Promise.all(
      documents.map(async (document) => {
        const targets = targetsOf(document, await readFile(join(folder, 'package', document), 'utf8'));
        return targets.filter((target) => !files.includes(target)).map((target) => `${document}: ${target}`);
      }),
    );
    expect(dead.flat()).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Unpacks a tarball as `npm publish` would send it, and lists its files. */
async function unpack(folder: string): Promise<readonly string[]> {
  // npm passes its own settings on to the scripts that it runs; a nested npm must not take them over.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)));
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await execute('npm', args, { cwd: root, env, maxBuffer: 16 << 20 });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  await execute('tar', ['-xzf', packed.filename], { cwd: folder });
  return packed.files.map(({ path }) => path);
}

/** Files that a document links to, from the root of the package. */
function targetsOf(document: string, text: string): readonly string[] {
  return [...text.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)[^)]*\)/gu)].map(([, link]) =>
    posix.join(posix.dirname(document), link!),
  );
}
