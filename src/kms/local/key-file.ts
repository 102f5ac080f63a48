/**
 * The text of a key file:
 *
 *     fieldseal local-kek v1
 *     id: 0f9c2c1e-5a4b-8d3e-9b7a-1c2d3e4f5a6b
 *     key: 64 hexadecimal digits, lower case
 *
 * The id is derived from the key, so it tells a damaged or mixed-up file. No JSON, which could only be parsed by way of
 * a string that holds the key and that nobody can wipe. Hexadecimal digits survive being written down on paper.
 */
import { ConfigError } from '../../errors.js';
import { LocalKek } from './local-kek.js';

const FORMAT = 'fieldseal local-kek v1';
const ID = 'id: ';
const KEY = 'key: ';
const KEY_BYTES = 32;
const LINE_FEED = 0x0a;
const DIGITS = Buffer.from('0123456789abcdef');

/**
 * The KEK in the bytes of a key file; the last line may lack its line feed, nothing else may differ.
 * @param path Of the file, for messages.
 * @throws ConfigError `ERR_CONFIG_KEK_FILE`.
 */
export function parseKeyFile(bytes: Buffer, path: string): LocalKek {
  const [format, id, key, ...surplus] = linesOf(bytes);
  if (!format?.equals(Buffer.from(FORMAT)))
    throw damaged(path, `line 1 to be "${FORMAT}"`, sizeOf(format), 'name a file of this format');
  const named = idOf(id);
  if (named === undefined) throw damaged(path, `line 2 to be "${ID}" and a UUID in lower case`, sizeOf(id));
  const keyBytes = Buffer.alloc(KEY_BYTES);
  try {
    if (!readKey(key, keyBytes)) {
      const expected = `line 3 to be "${KEY}" and ${2 * KEY_BYTES} hexadecimal digits in lower case`;
      throw damaged(path, expected, sizeOf(key));
    }
    if (surplus.length > 0) throw damaged(path, 'three lines', `${surplus.length} more`);
    const kek = new LocalKek(keyBytes);
    if (kek.id !== named) throw damaged(path, `the key of ${named}`, `the key of ${kek.id}`);
    return kek;
  } finally {
    keyBytes.fill(0);
  }
}

/** The bytes of a key file for this key; the caller wipes both. */
export function formatKeyFile(keyBytes: Buffer): Buffer {
  const head = Buffer.from(`${FORMAT}\n${ID}${new LocalKek(keyBytes).id}\n${KEY}`);
  const out = Buffer.alloc(head.length + 2 * KEY_BYTES + 1, '\n');
  let at = head.copy(out);
  for (const byte of keyBytes) {
    out[at++] = DIGITS[byte >> 4]!;
    out[at++] = DIGITS[byte & 15]!;
  }
  return out;
}

/** What is wrong with a key file. `got` is a size or a public id, never a part of the file. */
export function keyFileError(path: string, expected: string, got: string, advice: string): ConfigError {
  return new ConfigError(
    'ERR_CONFIG_KEK_FILE',
    `Key file ${path}: expected ${expected}, got ${got}; ${advice}.`,
  );
}

function damaged(path: string, expected: string, got: string, advice?: string): ConfigError {
  return keyFileError(path, expected, got, advice ?? 'put the file back from its backup');
}

/** Views of the lines, without their line feeds. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(LINE_FEED, from);
    const to = end === -1 ? bytes.length : end;
    lines.push(bytes.subarray(from, to));
    from = to + 1;
  }
  return lines;
}

function idOf(line: Buffer | undefined): string | undefined {
  // The length first: a line that holds something else is never made a string.
  if (line?.length !== ID.length + 36) return undefined;
  return /^id: ([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/.exec(line.toString('latin1'))?.[1];
}

/** Decodes without a string, so that the only copies of the key are buffers that are wiped. */
function readKey(line: Buffer | undefined, into: Buffer): boolean {
  if (line?.length !== KEY.length + 2 * KEY_BYTES) return false;
  if (!line.subarray(0, KEY.length).equals(Buffer.from(KEY))) return false;
  for (let i = 0; i < KEY_BYTES; i++) {
    const high = DIGITS.indexOf(line[KEY.length + 2 * i]!);
    const low = DIGITS.indexOf(line[KEY.length + 2 * i + 1]!);
    if (high < 0 || low < 0) return false;
    into[i] = (high << 4) | low;
  }
  return true;
}

function sizeOf(line: Buffer | undefined): string {
  return line === undefined ? 'no such line' : `another text of ${line.length} bytes`;
}
