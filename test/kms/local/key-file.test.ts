import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFieldSealError } from '../../../src/errors.js';
import { formatKeyFile, parseKeyFile } from '../../../src/kms/local/key-file.js';
import { LocalKek } from '../../../src/kms/local/local-kek.js';
import { expectNoKey } from './key-files.js';

const PATH = '/etc/fieldseal/a.kek';
const KEY = randomBytes(32);
const FILE = formatKeyFile(KEY);
const TEXT = FILE.toString('latin1');
const HEX = KEY.toString('hex');
const { id: ID } = new LocalKek(KEY);
const { id: OTHER_ID } = new LocalKek(randomBytes(32));

const lines = (...all: readonly string[]): string => `${all.join('\n')}\n`;
const [FORMAT, ID_LINE, KEY_LINE] = TEXT.split('\n') as [string, string, string];

const REFUSED: readonly (readonly [name: string, content: string, message: RegExp])[] = [
  [
    'an empty file',
    '',
    /line 1 to be "fieldseal local-kek v1", got no such line; name a file of this format/,
  ],
  [
    'JSON',
    JSON.stringify({ fieldseal: 'local-kek/v1', id: ID, key: HEX }),
    /line 1 .* got another text of \d+ bytes/,
  ],
  ['the key alone', HEX, /line 1 .* got another text of 64 bytes/],
  ['another version', TEXT.replace('v1', 'v2'), /line 1/],
  ['a byte order mark', `\xef\xbb\xbf${TEXT}`, /line 1/],
  ['line ends of Windows', TEXT.replaceAll('\n', '\r\n'), /line 1/],
  ['no id', lines(FORMAT, KEY_LINE), /line 2 to be "id: " and a UUID/],
  ['nothing after line 1', lines(FORMAT), /line 2 .* got no such line/],
  ['an id in upper case', lines(FORMAT, `id: ${ID.toUpperCase()}`, KEY_LINE), /line 2/],
  ['an id of another form', lines(FORMAT, `id: ${ID.replaceAll('-', '0')}`, KEY_LINE), /line 2/],
  [
    'the id of another key',
    lines(FORMAT, `id: ${OTHER_ID}`, KEY_LINE),
    new RegExp(`key of ${OTHER_ID}, got the key of ${ID}`),
  ],
  ['no key', lines(FORMAT, ID_LINE), /line 3 .* got no such line/],
  [
    'a key of 31 bytes',
    lines(FORMAT, ID_LINE, KEY_LINE.slice(0, -2)),
    /line 3 .* 64 hexadecimal digits .* got another text of 67 bytes/,
  ],
  ['a key of 33 bytes', lines(FORMAT, ID_LINE, `${KEY_LINE}00`), /line 3 .* got another text of 71 bytes/],
  ['a key in upper case', lines(FORMAT, ID_LINE, `key: ${'AB'.repeat(32)}`), /line 3/],
  ['a key under another name', lines(FORMAT, ID_LINE, KEY_LINE.replace('key', 'kek')), /line 3/],
  ['a fourth line', `${TEXT}note: for cards\n`, /three lines, got 1 more/],
  ['an empty line at the end', `${TEXT}\n`, /three lines, got 1 more/],
  ['an empty line between', lines(FORMAT, '', ID_LINE, KEY_LINE), /line 2 .* got another text of 0 bytes/],
];

describe('a key file', () => {
  it('is read back as the KEK it was made for', () => {
    expect(parseKeyFile(FILE, PATH).name).toBe(`local:${ID}`);
  });

  it('may lack its last line feed', () => {
    expect(parseKeyFile(FILE.subarray(0, -1), PATH).id).toBe(ID);
  });

  it.each(REFUSED)(
    'with %s is refused, and the message names it and shows no key',
    (_name, content, expected) => {
      const message = messageOf(Buffer.from(content, 'latin1'));
      expect(message).toMatch(/^Key file \/etc\/fieldseal\/a\.kek: expected .*, got .*; .*\.$/);
      expect(message).toMatch(expected);
      expectNoKey(message, KEY);
    },
  );

  it('with any byte changed is refused', () => {
    for (let at = 0; at < FILE.length; at++) {
      const changed = Buffer.from(FILE);
      changed[at]! ^= 1;
      expectNoKey(messageOf(changed), KEY);
    }
  });

  it('of any bytes gives a coded error alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(FILE.length), (bytes, kept) => {
        messageOf(Buffer.concat([FILE.subarray(0, kept % (FILE.length - 1)), bytes, Buffer.from('\n\n')]));
      }),
    );
  });
});

function messageOf(bytes: Buffer): string {
  try {
    parseKeyFile(bytes, PATH);
  } catch (error) {
    if (isFieldSealError(error) && error.code === 'ERR_CONFIG_KEK_FILE') return error.message;
    throw error;
  }
  throw new Error('expected a refusal, but it was taken');
}
