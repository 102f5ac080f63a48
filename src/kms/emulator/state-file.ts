/** The file that keeps the emulator's keys over restarts. It holds key material in the clear, like all of the emulator. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { check } from './issues.js';
import { KEY_SPECS, KEY_STATES, KEY_USAGES } from './key.js';
import type { StoredKey } from './key.js';
import { keyPolicy } from './policy-file.js';

/** Everything that the emulator remembers. */
export interface EmulatorState {
  readonly keys: ReadonlyMap<string, StoredKey>;
  /** Key id by alias (`alias/card-a`). */
  readonly aliases: ReadonlyMap<string, string>;
}

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));

const storedKey = z.strictObject({
  keyId: z.uuid(),
  spec: z.enum(KEY_SPECS),
  usage: z.enum(KEY_USAGES),
  description: z.string(),
  state: z.enum(KEY_STATES),
  created: z.number(),
  deletionDate: z.number().nullable(),
  policy: keyPolicy,
  // Not in files of older versions.
  tags: z.record(z.string(), z.string()).default({}),
  materials: z
    .array(z.strictObject({ id: z.string().regex(/^[0-9a-f]{64}$/), bytes: base64, created: z.number() }))
    .min(1),
  rotation: z.strictObject({ periodDays: z.number(), next: z.number() }).nullable(),
  onDemandRotations: z.number(),
});

const stateFile = z.strictObject({
  format: z.literal('fieldseal-kms-emulator/1'),
  keys: z.array(storedKey),
  aliases: z.record(z.string(), z.uuid()),
});

/**
 * Reads a state file; a missing one is an empty state.
 * @throws ConfigError `ERR_CONFIG_OPTION` when it is damaged. It is left as it is.
 */
export function readStateFile(path: string): EmulatorState {
  if (!existsSync(path)) return { keys: new Map(), aliases: new Map() };
  const checked = check(stateFile, parseJson(path));
  if (!checked.isValid) throw damaged(path, checked.why);
  return {
    keys: new Map(checked.value.keys.map((key) => [key.keyId, key])),
    aliases: new Map(Object.entries(checked.value.aliases)),
  };
}

/** Writes the state so that after a crash the file is either the old or the new one, whole. */
export function writeStateFile(path: string, state: EmulatorState): void {
  const keys = [...state.keys.values()].map((key) => ({
    ...key,
    materials: key.materials.map(({ id, bytes, created }) => ({
      id,
      bytes: bytes.toString('base64'),
      created,
    })),
  }));
  const aliases = Object.fromEntries(state.aliases);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeAndSync(temporary, JSON.stringify({ format: 'fieldseal-kms-emulator/1', keys, aliases }, null, 2));
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw notWritten(path, error);
  }
  syncFolder(dirname(path));
}

function writeAndSync(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    // Not writeSync, which writes what there is room for and returns how much that was.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The rename is only durable once the folder is. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function parseJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path, `expected JSON, got ${text.length} characters that are none`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(
      'ERR_CONFIG_OPTION',
      `State file ${path}: expected a file that can be read, got ${codeOf(error)}.`,
    );
  }
}

function notWritten(path: string, error: unknown): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `State file ${path} could not be written (${codeOf(error)}) and was left as it is; what was done since is not in it. ` +
      'Look at the room on its disk and at the rights on its folder.',
  );
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'an error';

function damaged(path: string, why: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_OPTION',
    `State file ${path} is damaged (${why}) and was left as it is. Restore it from a copy; with a new file everything that was encrypted under the old one is lost.`,
  );
}
