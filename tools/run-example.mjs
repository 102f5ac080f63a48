// Installs what is missing, builds the package and the example application, then runs one of its programs in its own process:
// `demo` or `example`.
import { prepare, runStep } from './run-step.mjs';

const program = process.argv[2];

await prepare('ensure-install.mjs');
console.log('Building …');
await prepare('ensure-example.mjs');
// The program stops what it started and tells how it ended; this process only waits for it.
const { code } = await runStep(process.execPath, [`example-app/dist/bin/${program}.js`], {
  // The channel ends with this process, and the program with it, however that comes.
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
});
process.exit(code);
