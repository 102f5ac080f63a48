import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFieldSealError } from '../../src/errors.js';
import {
  type CellParts,
  type DeliveryHeader,
  encodeCell,
  fingerprintOf,
  parseCell,
} from '../../src/cell/format.js';
import { runs, sealOne, someKey, SUITE_NAMES, thrownBy } from './fixtures.js';

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const BODY = fc.uint8Array({ minLength: 16, maxLength: 100 });
const SUITE_BITS = fc.constantFrom({ id: 1, nonceBytes: 16 }, { id: 2, nonceBytes: 24 });
const HEADERS: readonly { readonly nibble: number; readonly header: fc.Arbitrary<DeliveryHeader> }[] = [
  { nibble: 0, header: fc.constant({ delivery: 'pool' }) },
  {
    nibble: 1,
    header: fc.record({
      delivery: fc.constant('envelope' as const),
      kekRef: bytesOf(8),
      wrapped: fc.uint8Array({ minLength: 1, maxLength: 400 }),
    }),
  },
  {
    nibble: 2,
    header: fc.record({
      delivery: fc.constant('sealed' as const),
      encapsulated: bytesOf(64).map((rest) => Uint8Array.of(4, ...rest)),
      sessionKey: bytesOf(48),
    }),
  },
];

const CELL_PARTS: fc.Arbitrary<CellParts> = fc
  .tuple(fc.constantFrom(...HEADERS), SUITE_BITS, fc.boolean())
  .chain(([{ nibble, header }, { id, nonceBytes }, padded]) =>
    fc.record({
      byteOne: fc.constant((nibble << 4) | (padded ? 8 : 0) | id),
      fingerprint: bytesOf(16),
      header,
      nonce: bytesOf(nonceBytes),
      body: BODY,
    }),
  );

/** Views and arrays compare by their bytes. */
function plain({ byteOne, fingerprint, header, nonce, body }: CellParts): unknown {
  const asHex = (part: unknown): unknown =>
    part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part;
  return [byteOne, ...[fingerprint, nonce, body, ...Object.values<unknown>({ ...header })].map(asHex)];
}

describe('the bytes of a cell', () => {
  test('of every delivery come apart into what they were put together from', () => {
    fc.assert(
      fc.property(CELL_PARTS, (parts) => {
        expect(plain(parseCell(encodeCell(parts)))).toEqual(plain(parts));
      }),
      { numRuns: runs(300) },
    );
  });

  test('begin with the marker, the suite, and the fingerprint; a 16-digit PAN takes 66', () => {
    const key = someKey();
    const [siv, xaes] = SUITE_NAMES.map((suite) => sealOne('4111111111111111', { key, suite })) as [
      Buffer,
      Buffer,
    ];
    expect([siv.length, xaes.length]).toEqual([66, 74]);
    expect(siv.toString('hex', 0, 18)).toBe(`f501${key.fingerprint.replaceAll('-', '')}`);
    expect(xaes.toString('hex', 0, 2)).toBe('f502');
    expect(fingerprintOf(siv)).toBe(key.fingerprint);
  });

  test('are refused when parts do not make a cell', () => {
    const good: CellParts = {
      byteOne: 0x11,
      fingerprint: Buffer.alloc(16),
      header: { delivery: 'envelope', kekRef: Buffer.alloc(8), wrapped: Buffer.alloc(184) },
      nonce: Buffer.alloc(16),
      body: Buffer.alloc(20),
    };
    expect(encodeCell(good)).toHaveLength(18 + 8 + 2 + 184 + 16 + 20);
    const bad: Partial<CellParts>[] = [
      { byteOne: 0x01 },
      { byteOne: 0x10 },
      { header: { delivery: 'envelope', kekRef: Buffer.alloc(8), wrapped: Buffer.alloc(0) } },
      { header: { delivery: 'envelope', kekRef: Buffer.alloc(8), wrapped: Buffer.alloc(70_000) } },
      { byteOne: 0x31 },
      { fingerprint: Buffer.alloc(15) },
      { nonce: Buffer.alloc(15) },
      { body: Buffer.alloc(15) },
      { header: { delivery: 'envelope', kekRef: Buffer.alloc(7), wrapped: Buffer.alloc(184) } },
      { header: { delivery: 'envelope', kekRef: Buffer.alloc(8), wrapped: Buffer.alloc(6145) } },
      {
        byteOne: 0x21,
        header: { delivery: 'sealed', encapsulated: Buffer.alloc(65, 3), sessionKey: Buffer.alloc(48) },
      },
      {
        byteOne: 0x21,
        header: { delivery: 'sealed', encapsulated: Buffer.alloc(65, 4), sessionKey: Buffer.alloc(47) },
      },
    ];
    for (const parts of bad)
      expect(thrownBy(() => encodeCell({ ...good, ...parts })).code).toBe('ERR_FORMAT_CELL');
  });

  test('are refused when they are cut off anywhere before the end of the tag', () => {
    const key = someKey();
    const cell = sealOne('', { key });
    expect(cell).toHaveLength(50);
    for (let length = 0; length < cell.length; length++) {
      const error = thrownBy(() => fingerprintOf(cell.subarray(0, length)));
      expect(error.code).toBe('ERR_FORMAT_CELL');
      expect(error.message).toContain(`${length} bytes`);
    }
  });

  test('are refused for every byte 1 that is not in the table', () => {
    const known = HEADERS.flatMap(({ nibble }) => [1, 2, 9, 10].map((low) => (nibble << 4) | low));
    for (let byteOne = 0; byteOne < 256; byteOne++) {
      const cell = Buffer.alloc(7000, 4);
      cell.set([0xf5, byteOne]);
      cell.writeUInt16BE(100, 26);
      if (known.includes(byteOne)) expect(parseCell(cell).byteOne).toBe(byteOne);
      else expect(thrownBy(() => parseCell(cell)).code).toBe('ERR_FORMAT_CELL');
    }
  });

  test('whatever they are give a cell or a coded error', () => {
    const fuzzed = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.of(0xf5, ...bytes)),
    );
    fc.assert(
      fc.property(fuzzed, (bytes) => {
        try {
          expect(encodeCell(parseCell(bytes)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(isFieldSealError(error) && error.code).toBe('ERR_FORMAT_CELL');
        }
      }),
      { numRuns: runs(500) },
    );
  });
});
