// Compiles one TypeScript bench and what it imports of this repository to .cache/bench, and runs it with plain Node.
// `node bench/run.mjs cells --json`: everything behind the name goes to the bench. A bench with packages of its own, in a
// folder of its name, is compiled to where Node finds those first.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [name, ...options] = process.argv.slice(2);
const source = join(root, 'bench', `${name}.ts`);
if (!/^[a-z-]+$/.test(name ?? '') || !existsSync(source)) {
  console.error('Usage: node bench/run.mjs <bench> [options], where bench/<bench>.ts exists');
  process.exit(2);
}

// vite sets NODE_ENV to production while it builds; the bench runs as it was started.
const env = { ...process.env };
const outDir = existsSync(join(root, 'bench', name, 'package.json'))
  ? join(root, 'bench', name, '.build')
  : join(root, '.cache', 'bench', name);
await build({
  root,
  configFile: false,
  logLevel: 'error',
  // The first starts files that lie beside it; the second is measured as it is published.
  ssr: { external: ['@fieldseal/test-support', 'fieldseal'] },
  // TypeORM reads the types that the compiler writes beside legacy decorators; both are set in tsconfig.json.
  build: {
    ssr: source,
    outDir,
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    // Installed in bench/peers only, where vite does not look.
    rolldownOptions: { external: ['typeorm-encrypted'] },
  },
});
const child = spawn(process.execPath, [join(outDir, `${name}.js`), ...options], {
  stdio: 'inherit',
  cwd: root,
  env,
});
child.on('close', (code) => process.exit(code ?? 1));
