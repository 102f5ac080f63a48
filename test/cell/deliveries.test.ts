/** Cells of every delivery: what they are made of, what opens them, and what a changed header does. */
import { randomBytes, randomInt } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DataKey } from '../../src/cell/data-key.js';
import { kekRefOf } from '../../src/cell/delivery-header.js';
import { type Delivery, fingerprintOf, parseCell } from '../../src/cell/format.js';
import { sealCells } from '../../src/cell/seal.js';
import { openSession, sealSession } from '../../src/cell/session-key.js';
import {
  accepting,
  ALL_DELIVERIES,
  KEY_OF,
  openCells,
  openOne,
  OWNER,
  runs,
  sealOne,
  someColumn,
  someEnvelopeKey,
  someKey,
  somePair,
  SUITE_NAMES,
} from './fixtures.js';

const BYTES = { codec: 'bytes' } as const;
const COLUMNS = [
  someColumn(BYTES),
  someColumn({ ...BYTES, pad: 16 }),
  someColumn({ ...BYTES, bound: true }),
  someColumn({ ...BYTES, pad: 5, bound: true }),
];
const HEADER_BYTES: Readonly<Record<Delivery, number>> = { pool: 0, envelope: 8 + 2 + 184, sealed: 65 + 48 };
const NIBBLES: Readonly<Record<Delivery, number>> = { pool: 0, envelope: 1, sealed: 2 };

describe.each(SUITE_NAMES)('cells of %s', (suite) => {
  test.each(ALL_DELIVERIES)('of delivery %s come back as they were, 1 to 200 bytes long', (delivery) => {
    const values = Array.from({ length: 200 }, (_, i) => randomBytes(i + 1));
    const bindings = values.map((_, i) => Buffer.from(`row ${i}`));
    for (const column of COLUMNS) {
      const key = KEY_OF[delivery]();
      const keys = values.map(() => key);
      const given = column.bound ? bindings : undefined;
      const { cells, bytes } = sealCells(suite, column, values, keys, given);
      const opened = openCells(column, cells, keys, { accept: accepting(suite), bindings: given });
      expect(opened).toEqual({ values, failures: undefined });
      const added = cells.reduce((sum, cell) => sum + cell!.length, 0) - bytes;
      const perCell = 18 + HEADER_BYTES[delivery] + (suite === 'aes-256-siv' ? 16 : 24) + 16;
      expect(added).toBe(perCell * cells.length);
    }
  });

  test('of every delivery come back from one page, each row under its own key', () => {
    const shared = ALL_DELIVERIES.flatMap((delivery) => [KEY_OF[delivery](), KEY_OF[delivery]()]);
    const keyOf = (i: number): DataKey =>
      i % 50 === 0 ? KEY_OF[ALL_DELIVERIES[i % 3]!]() : shared[randomInt(shared.length)]!;
    const values = Array.from({ length: runs(2000) }, (_, i) => (i % 11 === 0 ? null : randomBytes(i % 90)));
    const keys = values.map((_, i) => keyOf(i));
    const bindings = values.map((_, i) => Buffer.from(`row ${i}`));
    for (const column of COLUMNS) {
      const given = column.bound ? bindings : undefined;
      const { cells } = sealCells(suite, column, values, keys, given);
      const opened = openCells(column, cells, keys, { accept: accepting(suite), bindings: given });
      expect(opened).toEqual({ values, failures: undefined });
      cells.forEach((cell, i) => {
        if (cell) expect(cell[1]! >> 4).toBe(NIBBLES[keys[i]!.delivery]);
      });
    }
  });

  test('come back whatever value, padding, binding and wrap', () => {
    const pair = somePair();
    const keyOf: Readonly<Record<Delivery, (wrapped: Buffer) => DataKey>> = {
      pool: () => someKey(),
      envelope: (wrapped) => someEnvelopeKey(randomBytes(32), wrapped),
      sealed: () => sealSession(pair.publicKey, OWNER),
    };
    const bytes = (maxLength: number, minLength = 0): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength, maxLength }).map((all) => Buffer.from(all));
    const given = fc.record({
      delivery: fc.constantFrom(...ALL_DELIVERIES),
      values: fc.array(bytes(300), { minLength: 1, maxLength: 5 }),
      pad: fc.integer({ min: 0, max: 255 }),
      binding: fc.option(bytes(40, 1), { nil: undefined }),
      wrapped: bytes(6144, 1),
    });
    fc.assert(
      fc.property(given, ({ delivery, values, pad, binding, wrapped }) => {
        const column = someColumn({ codec: 'bytes', pad, bound: binding !== undefined });
        const key = keyOf[delivery](wrapped);
        const keys = values.map(() => key);
        const bindings = binding && values.map(() => binding);
        const { cells } = sealCells(suite, column, values, keys, bindings);
        const opened = openCells(column, cells, keys, { accept: accepting(suite), bindings });
        expect(opened).toEqual({ values, failures: undefined });
        for (const cell of cells)
          expect(parseCell(cell!).header).toMatchObject({
            delivery,
            ...(delivery === 'envelope' && { kekRef: kekRefOf('some KEK'), wrapped }),
          });
      }),
      { numRuns: runs(100) },
    );
  });

  test('are what the format says, byte by byte', () => {
    const wrapped = randomBytes(184);
    const envelope = someEnvelopeKey(randomBytes(32), wrapped);
    const { publicKey } = somePair();
    const session = sealSession(publicKey, OWNER);
    const id = suite === 'aes-256-siv' ? 1 : 2;
    const column = someColumn({ pad: 16 });

    const inEnvelope = sealOne('4111111111111111', { key: envelope, suite, column });
    expect(inEnvelope.subarray(0, 2)).toEqual(Buffer.of(0xf5, 0x18 | id));
    expect(inEnvelope.toString('hex', 2, 18)).toBe(envelope.fingerprint.replaceAll('-', ''));
    expect(inEnvelope.subarray(18, 26)).toEqual(kekRefOf('some KEK'));
    expect(inEnvelope.subarray(26, 28)).toEqual(Buffer.of(0, 184));
    expect(inEnvelope.subarray(28, 212)).toEqual(wrapped);
    expect(parseCell(inEnvelope).header).toEqual({
      delivery: 'envelope',
      kekRef: kekRefOf('some KEK'),
      wrapped,
    });

    const sealed = sealOne('4111111111111111', { key: session, suite });
    expect(sealed.subarray(0, 2)).toEqual(Buffer.of(0xf5, 0x20 | id));
    expect(fingerprintOf(sealed)).toBe(publicKey.fingerprint);
    expect(sealed[18]).toBe(4);
    expect(sealed.subarray(18, 18 + 113)).toEqual(session.header);
    expect(parseCell(sealed).header).toEqual({
      delivery: 'sealed',
      encapsulated: sealed.subarray(18, 83),
      sessionKey: sealed.subarray(83, 131),
    });
    const poolOf16 = suite === 'aes-256-siv' ? 66 : 74;
    expect([inEnvelope.length, sealed.length]).toEqual([poolOf16 + 194 + 16, poolOf16 + 113]);
  });

  // The header is not authenticated: rewrapping puts the same root under another KEK, in place. Whoever unwraps it
  // derives the fingerprint anew, so a wrap of another root opens nothing.
  test('of an envelope are refused with any bit flipped, and open with another wrap of their key', () => {
    const key = someEnvelopeKey(randomBytes(32), randomBytes(40));
    const cell = sealOne('4111111111111111', { key, suite });
    for (let bit = 0; bit < cell.length * 8; bit++) {
      const flipped = Buffer.from(cell);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const opened = openOne(flipped, { key, suite });
      const isWrap = bit >= (18 + 10) * 8 && bit < (18 + 10 + 40) * 8;
      const isKekRef = bit >= 18 * 8 && bit < (18 + 8) * 8;
      if (isWrap || isKekRef) expect(opened, `bit ${bit}`).toBe('4111111111111111');
      else expect(opened, `bit ${bit}`).toHaveProperty('code');
    }
  });

  test('that are sealed are refused with any bit flipped, by their header or by their key', () => {
    const { privateKey, publicKey } = somePair();
    const key = sealSession(publicKey, OWNER);
    const cell = sealOne('4111111111111111', { key, suite });
    for (let bit = 0; bit < cell.length * 8; bit++) {
      const flipped = Buffer.from(cell);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const isHeader = bit >= 18 * 8 && bit < (18 + 113) * 8;
      if (isHeader && flipped[18] === 4) {
        const { header } = parseCell(flipped);
        if (header.delivery !== 'sealed') throw new Error('expected a sealed cell');
        expect(openSession(privateKey, OWNER, header), `bit ${bit}`).toBeUndefined();
      } else expect(openOne(flipped, { key, suite }), `bit ${bit}`).toHaveProperty('code');
    }
  });

  test('differ by delivery in byte 1, header and ciphertext only, and open under the key of another header', () => {
    const root = randomBytes(32);
    const [pool, envelope, other] = [someKey(root), someEnvelopeKey(root), someEnvelopeKey(root)];
    const inPool = sealOne('4111111111111111', { key: pool, suite });
    const inEnvelope = sealOne('4111111111111111', { key: envelope, suite });
    expect(fingerprintOf(inEnvelope)).toBe(fingerprintOf(inPool));
    expect(inPool[1]! ^ inEnvelope[1]!).toBe(0x10);
    expect(inEnvelope.length - inPool.length).toBe(envelope.header.length);
    for (const key of [pool, envelope, other])
      for (const cell of [inPool, inEnvelope]) expect(openOne(cell, { key, suite })).toBe('4111111111111111');
    // Byte 1 is authenticated: taking the header off makes no pool cell.
    const stripped = Buffer.concat([
      inPool.subarray(0, 18),
      inEnvelope.subarray(18 + envelope.header.length),
    ]);
    expect(openOne(stripped, { key: pool, suite })).toMatchObject({ code: 'ERR_OPEN_FAILED' });
  });

  test.each(ALL_DELIVERIES)('of delivery %s are refused where only others are accepted', (delivery) => {
    const key = KEY_OF[delivery]();
    const cell = sealOne('x', { key, suite });
    key.close();
    const deliveries = ALL_DELIVERIES.filter((other) => other !== delivery);
    const { failures } = openCells(someColumn(), [cell], [key], { accept: { suites: [suite], deliveries } });
    expect(failures?.get(0)).toMatchObject({ code: 'ERR_FORMAT_NOT_ACCEPTED' });
    expect(failures?.get(0)?.message).toContain(
      `delivery ${delivery}, and the purpose opens ${deliveries.join(', ')}`,
    );
  });

  test('with a forged wrap do not hinder those beside them', () => {
    const key = someEnvelopeKey();
    const { cells } = sealCells(suite, someColumn(), ['1', '2', '3'], [key, key, key]);
    cells[0]![40]! ^= 1;
    const keys = [undefined, key, key]; // whoever unwraps the first has no key for it
    const opened = openCells(someColumn(), cells, keys, { accept: accepting(suite) });
    expect(opened).toEqual({ values: [undefined, '2', '3'], failures: undefined });
  });

  test('share memory with cells only, in slabs no larger than those of pool cells', () => {
    const key = someEnvelopeKey();
    const values = Array.from({ length: 2000 }, (_, i) => `secret number ${i}`);
    const { cells } = sealCells(
      suite,
      someColumn(),
      values,
      values.map(() => key),
    );
    for (const cell of cells) expect(cell!.buffer.byteLength).toBeLessThanOrEqual(64 * 1024);
    expect(Buffer.from(cells[0]!.buffer).includes('secret')).toBe(false);
  });
});
