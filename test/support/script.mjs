/** Runs a TypeScript file of the tests in a process of its own. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** See index.d.mts. */
export async function bundleScript(file, { folder = path.join(repository, '.cache', 'scripts') } = {}) {
  const { build } = await import('vite');
  const name = `${path.basename(file, '.ts')}-${randomBytes(6).toString('hex')}`;
  await build({
    configFile: false,
    logLevel: 'error',
    root: repository,
    build: {
      // Packages stay outside the bundle and are found from `folder`, as a built fieldseal finds them.
      ssr: true,
      target: 'node20',
      outDir: folder,
      emptyOutDir: false,
      rollupOptions: {
        input: file,
        output: { format: 'es', entryFileNames: `${name}.mjs`, codeSplitting: false },
      },
    },
  });
  const bundle = path.join(folder, `${name}.mjs`);
  return { file: bundle, remove: () => rmSync(bundle, { force: true }) };
}

/** See index.d.mts. */
export function startScript(file, args = [], { env = {}, cwd = repository } = {}) {
  const child = spawn(process.execPath, [file, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines = [];
  const errors = [];
  const waiting = new Set();
  const ended = once(child, 'close').then(([code, signal]) => {
    for (const check of waiting) check(true);
    return { code, signal, stdout: lines.join('\n'), stderr: Buffer.concat(errors).toString() };
  });
  child.stderr.on('data', (chunk) => errors.push(chunk));
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const check of waiting) check(false);
  });
  return {
    pid: child.pid,
    ended,
    send: (line) => child.stdin.write(`${line}\n`),
    kill: (name = 'SIGKILL') => child.kill(name),
    line(start) {
      return new Promise((resolve, reject) => {
        const check = (isOver) => {
          const found = lines.find((line) => line.startsWith(start));
          if (found === undefined && !isOver) return;
          waiting.delete(check);
          if (found !== undefined) resolve(found);
          else reject(new Error(`The script ended without printing "${start}":\n${Buffer.concat(errors)}`));
        };
        waiting.add(check);
        check(false);
        void ended.then(() => check(true));
      });
    },
  };
}
