/** Key files for the tests of this folder, each in a folder of its own that goes with the test. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canariesIn } from '@fieldseal/test-support';
import { expect } from 'vitest';
import type { FieldSealEvent } from '../../../src/keys/events.js';
import type { KekProvider } from '../../../src/keys/ports.js';
import { createKeyFile } from '../../../src/kms/local/create-key-file.js';
import { localKeks } from '../../../src/kms/local/local-keks.js';
import { recordKey } from '../../canary.js';
import { after, CARD } from '../kms.js';

export interface KeyFile {
  readonly path: string;
  /** `local:<id>` */
  readonly name: string;
  readonly keyBytes: Buffer;
}

export function privateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fieldseal-kek-'));
  after(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** A key file of this name; its key must not be seen anywhere. */
export async function keyFile(name = 'a.kek', folder = privateFolder()): Promise<KeyFile> {
  const path = join(folder, name);
  const created = await createKeyFile(path);
  const keyBytes = Buffer.from(/^key: (.*)$/mu.exec(readFileSync(path, 'latin1'))![1]!, 'hex');
  recordKey(keyBytes);
  return { path, name: created, keyBytes };
}

/** A file with any content, for its owner alone. */
export function fileWith(content: string | Buffer, folder = privateFolder()): string {
  const path = join(folder, 'a.kek');
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

export interface StartedKeks {
  readonly provider: KekProvider;
  readonly events: FieldSealEvent[];
}

/** A provider started for one purpose with these files. */
export async function started(
  files: readonly (KeyFile | string)[],
  openFiles: readonly (KeyFile | string)[] = [],
): Promise<StartedKeks> {
  const provider = localKeks({
    keks: { [CARD.purpose]: pathsOf(files) },
    openKeks: { [CARD.purpose]: pathsOf(openFiles) },
  });
  after(() => provider.close());
  const events: FieldSealEvent[] = [];
  await provider.start([CARD.purpose], (event) => events.push(event));
  return { provider, events };
}

/** Fails when the text shows one of the keys in any form. */
export function expectNoKey(text: string, ...keys: readonly Buffer[]): void {
  expect(canariesIn(Buffer.from(text).toString('latin1'), keys)).toHaveLength(0);
}

function pathsOf(files: readonly (KeyFile | string)[]): string[] {
  return files.map((file) => (typeof file === 'string' ? file : file.path));
}
