import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskOf, type MaskName } from '../../src/cell/mask.js';

const WHERE = 'cards.pan';

describe('maskOf', () => {
  it.each<[MaskName, string, string]>([
    ['last4', '4222222222222', '2222'],
    ['last4', '4111111111111111', '1111'],
    ['first6last4', '378282246310005', '378282*****0005'],
    ['first6last4', '4111111111111111', '411111******1111'],
    ['first6last4', '6304000000000000004', '630400*********0004'],
  ])('%s of %s', (mask, pan, shown) => {
    expect(maskOf(mask, pan, WHERE)).toBe(shown);
  });

  it.each<[MaskName, unknown]>([
    ['last4', '422222222222'],
    ['last4', '42222222222222222222'],
    ['last4', ''],
    ['last4', '4111-1111-1111-1111'],
    ['last4', '4111111111111111\n'],
    ['last4', '４１１１１１１１１１１１１１１１'],
    ['first6last4', '30569309025904'],
  ])('%s refuses what is no card number for it: %j', (mask, value) => {
    expect(() => maskOf(mask, value, WHERE)).toThrow(expect.objectContaining({ code: 'ERR_SEAL_VALUE' }));
  });

  it.each([4111111111111111, null])('refuses what is no string as any field of strings does: %j', (value) => {
    expect(() => maskOf('last4', value, WHERE)).toThrow(
      expect.objectContaining({
        code: 'ERR_SEAL_TYPE',
        message: `${WHERE}: expected a string, got ${typeof value}.`,
      }),
    );
  });

  it('says where and how long, and never what', () => {
    expect(() => maskOf('first6last4', '41111111111111', WHERE)).toThrow(
      'cards.pan: expected a card number of 15 to 19 digits for the mask first6last4, got a string of 14 characters; ' +
        'remove spaces and dashes before saving.',
    );
  });

  const pans = fc.stringMatching(/^[0-9]{15,19}$/);

  it('removes at least 4 digits, of 15 at least 5, and keeps the first six and the last four', () => {
    fc.assert(
      fc.property(pans, (pan) => {
        const shown = maskOf('first6last4', pan, WHERE);
        const removed = shown.split('*').length - 1;
        expect(removed).toBeGreaterThanOrEqual(pan.length === 15 ? 5 : 4);
        expect(shown).toHaveLength(pan.length);
        expect([shown.slice(0, 6), shown.slice(-4)]).toEqual([pan.slice(0, 6), pan.slice(-4)]);
        expect(maskOf('last4', pan, WHERE)).toBe(pan.slice(-4));
      }),
    );
  });

  it('shows nothing of the digits between', () => {
    fc.assert(
      fc.property(pans, fc.stringMatching(/^[0-9]{9}$/), (pan, other) => {
        const changed = pan.slice(0, 6) + other.slice(0, pan.length - 10) + pan.slice(-4);
        expect(maskOf('first6last4', changed, WHERE)).toBe(maskOf('first6last4', pan, WHERE));
      }),
    );
  });
});
