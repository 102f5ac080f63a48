import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { BlockCipher, CbcChain, CipherFault } from '../../src/cell/block-cipher.js';
import { Blocks } from '../../src/cell/blocks.js';
import { accepting, openCells, openOne, sealOne, someColumn, someKey, thrownBy } from './fixtures.js';

type Update = (this: unknown, input: Uint8Array) => Buffer;

// Node's own cipher objects are disturbed behind the back of the code that keeps them.
const cipherPrototype = Object.getPrototypeOf(createCipheriv('aes-256-ecb', Buffer.alloc(32), null)) as {
  update: Update;
};
const realUpdate = cipherPrototype.update;

/** Text of 40 bytes: a chain of 3 blocks, so one call with 4. */
const VALUE = 'forty bytes, which make a chain of three';
const CHAIN_BYTES = 64;

function disturb(update: (context: unknown, input: Uint8Array) => Buffer): void {
  cipherPrototype.update = function (input) {
    return update(this, input);
  };
}

afterEach(() => {
  cipherPrototype.update = realUpdate;
});

describe('a kept cipher context', () => {
  test('takes whole blocks only', () => {
    const cipher = new BlockCipher(createSecretKey(randomBytes(32)));
    const blocks = new Blocks();
    Object.defineProperty(blocks, 'view', { value: () => Buffer.alloc(15) });
    expect(() => {
      cipher.encipher(blocks, 1);
    }).toThrow(CipherFault);
  });

  test('that gives less than it took is not used again', () => {
    const key = someKey();
    sealOne(VALUE, { key });
    disturb((context, input) => realUpdate.call(context, input).subarray(16));
    expect(thrownBy(() => sealOne(VALUE, { key })).code).toBe('ERR_SEAL_CIPHER');
    cipherPrototype.update = realUpdate;
    expect(openOne(sealOne(VALUE, { key }), { key })).toBe(VALUE);
  });

  test('chain that lost step with us is noticed before anything is written, and the next seal is right', () => {
    const key = someKey();
    sealOne(VALUE, { key });
    disturb((context, input) => {
      const output = realUpdate.call(context, input);
      if (input.length === CHAIN_BYTES) realUpdate.call(context, Buffer.alloc(16));
      return output;
    });
    sealOne(VALUE, { key }); // leaves the context one block ahead
    cipherPrototype.update = realUpdate;
    const error = thrownBy(() => sealOne(VALUE, { key }));
    expect(error).toMatchObject({ code: 'ERR_SEAL_CIPHER', retryable: true });
    const other = someKey(); // its context was never disturbed
    expect(openOne(sealOne(VALUE, { key: other }), { key: other })).toBe(VALUE);
    expect(openOne(sealOne(VALUE, { key }), { key })).toBe(VALUE);
  });

  test('chain that lost step fails an opening with a code that says: try again', () => {
    const key = someKey();
    const column = someColumn();
    const cell = sealOne(VALUE, { key });
    disturb((context, input) => {
      const output = realUpdate.call(context, input);
      if (input.length === CHAIN_BYTES) realUpdate.call(context, Buffer.alloc(16));
      return output;
    });
    openOne(cell, { key });
    cipherPrototype.update = realUpdate;
    const { values, failures } = openCells(column, [cell, null], [key, key], {
      accept: accepting('aes-256-siv'),
    });
    expect(values).toEqual([undefined, null]);
    expect(failures?.get(0)).toMatchObject({ code: 'ERR_OPEN_CIPHER', retryable: true });
    expect(openOne(cell, { key })).toBe(VALUE);
  });

  test('that throws is thrown away, and its message goes nowhere', () => {
    const key = someKey();
    sealOne(VALUE, { key });
    disturb((context, input) => {
      const output = realUpdate.call(context, input);
      if (input.length !== CHAIN_BYTES) return output;
      throw new Error(`openssl saw ${VALUE}`);
    });
    const error = thrownBy(() => sealOne(VALUE, { key }));
    expect(error.code).toBe('ERR_SEAL_CIPHER');
    expect(error.cause).toBeUndefined();
    expect(error.message).not.toContain(VALUE);
    cipherPrototype.update = realUpdate;
    expect(openOne(sealOne(VALUE, { key }), { key })).toBe(VALUE);
  });
});

describe('CbcChain', () => {
  test('gives the same for a message after any other messages, in one call or in many', () => {
    const secret = createSecretKey(randomBytes(32));
    const zero = new Blocks(1);
    new BlockCipher(secret).encipher(zero, 1);
    const chain = new CbcChain(secret, zero);
    const into = new Blocks(1);
    for (const count of [1, 3, 254, 255, 256, 4351, 4352, 9000, 1]) {
      const message = new Blocks(count);
      message.bytes.set(randomBytes(count * 16));
      const fresh = createCipheriv('aes-256-cbc', secret, Buffer.alloc(16)).setAutoPadding(false);
      const expected = fresh.update(message.view(count)).subarray(-16);
      chain.mac(message, 0, count, into, 0);
      expect(into.bytes.subarray(0, 16).equals(expected), `${count} blocks`).toBe(true);
    }
  });
});
