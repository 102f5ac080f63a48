/** Keeps what the run's canary scan (tools/run-tests.mjs) looks for. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.FIELDSEAL_CANARY_FOLDER;

/** For the `unsafeOnPlaintext` of an emulator: every key that it hands out must not be seen anywhere. */
export function recordKey(bytes: Buffer): void {
  if (folder !== undefined)
    appendFileSync(join(folder, 'keys'), `${bytes.toString('hex')}\n`, { mode: 0o600 });
}
