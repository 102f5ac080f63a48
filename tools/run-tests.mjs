// Installs what is missing, builds, runs the tests, then reads everything that they printed and that the database server
// logged, and fails when a canary plaintext or a byte sequence of a key is in it. Prints the counts at the end.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canariesIn, CANARY_TEXTS } from '../test/support/canary.mjs';
import { onStop, prepare } from './run-step.mjs';

await prepare('ensure-install.mjs');
// Some tests run what is built; none may build while others run it.
await prepare('ensure-example.mjs');

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'fieldseal-test-'));
const reportFile = join(folder, 'report.json');

const output = [];
const status = await vitest();
const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, 'utf8')) : undefined;
const leaks = scan();
rmSync(folder, { recursive: true, force: true });
if (report) {
  const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = report;
  console.log(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped`);
}
process.exit(leaks > 0 ? 1 : status);

function vitest() {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const child = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...process.argv.slice(2)],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
        FIELDSEAL_CANARY_FOLDER: folder,
      },
    },
  );
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from.on('data', (bytes) => {
      output.push(bytes);
      to.write(bytes);
    });
  }
  onStop((signal) => child.kill(signal));
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

/** Number of canaries that were seen. Names each, shows none. */
function scan() {
  const read = (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'latin1') : '');
  const sources = {
    output: Buffer.concat(output).toString('latin1'),
    'server log': read('postgres.log'),
    'MariaDB log': read('mariadb.log'),
  };
  const keys = read('keys').split('\n').filter(Boolean);
  const canaries = new Map([
    ...CANARY_TEXTS.map((text) => [Buffer.from(text), 'plaintext']),
    ...keys.map((hex) => [Buffer.from(hex, 'hex'), 'key']),
  ]);
  let leaks = 0;
  for (const [source, text] of Object.entries(sources)) {
    for (const canary of canariesIn(text, [...canaries.keys()])) {
      leaks += 1;
      console.error(`canary scan: a ${canaries.get(canary)} of the tests stands in the ${source}`);
    }
  }
  const size = Object.entries(sources).map(([source, text]) => `${text.length} bytes of ${source}`);
  console.log(
    `canary scan: ${keys.length} keys, ${CANARY_TEXTS.length} plaintexts in ${size.join(' and ')}: ${leaks === 0 ? 'none seen' : `${leaks} seen`}`,
  );
  return leaks;
}
