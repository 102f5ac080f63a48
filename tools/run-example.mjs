// Builds the package and the example application, then runs one of its programs in its own process: `demo` or `example`.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = process.argv[2];

console.log('Building …');
const build = spawnSync(process.execPath, ['tools/ensure-example.mjs'], { cwd: root, stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);

const child = spawn(process.execPath, [`example-app/dist/bin/${program}.js`], {
  cwd: root,
  // The channel ends with this process, and the program with it, however that comes.
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
});
// The program stops what it started and tells how it ended; this process only waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
