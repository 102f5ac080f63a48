import { describe, expect, it } from 'vitest';
import { cardForm, hasCard } from '../../example-app/app/forms/card-form.js';
import { customerForm, sentCustomer } from '../../example-app/app/forms/customer-form.js';
import { parseForm } from '../../example-app/app/forms/form.js';
import { isLuhnValid } from '../../example-app/app/models/card-number.js';
import { isExpired } from '../../example-app/app/models/expiry.js';

const card = { number: '4111 1111-1111 1111', expires: '12/49', cvv: '7391' };

describe('a card', () => {
  it('loses spaces, dashes and its CVV', () => {
    expect(parseForm(cardForm, card)).toEqual({
      isValid: true,
      values: { pan: '4111111111111111', expires: '12/49' },
    });
  });

  it.each([
    ['number', ''],
    ['number', '411111111111111'],
    ['number', '4111111111111112'],
    ['number', '4'.repeat(20)],
    ['number', '４１１１１１１１１１１１１１１１'],
    ['expires', '1/49'],
    ['expires', '00/49'],
    ['expires', '12/2049'],
    ['expires', '12/20'],
    ['cvv', '12'],
    ['cvv', '12345'],
    ['cvv', 'abc'],
  ])('is refused for its %s alone, by a message without a value: %s', (name, value) => {
    const form = parseForm(cardForm, { ...card, [name]: value });
    if (form.isValid) throw new Error('Expected it to be refused.');
    expect(Object.keys(form.errors)).toEqual([name]);
    if (value !== '') expect(form.errors[name]).not.toContain(value);
  });

  it.each([[undefined], [null], ['text'], [[]], [{ number: ['4111111111111111', '1'] }]])(
    'is refused where the form is no form: %j',
    (body) => {
      expect(parseForm(cardForm, body).isValid).toBe(false);
    },
  );

  it('is there when anything of it was filled in', () => {
    expect([{}, { cvv: ' ' }, { cvv: '1' }, undefined, { number: ['4'] }].map(hasCard)).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
  });
});

describe('a customer', () => {
  it('is trimmed', () => {
    const form = parseForm(customerForm, { name: ' Ann ', email: 'ann@example.com', phone: '+48 22 555' });
    expect(form).toMatchObject({ isValid: true, values: { name: 'Ann' } });
  });

  it('is shown again as it was typed in, whatever was sent', () => {
    expect(sentCustomer({ name: ' <b>', email: ['a', 'b'] })).toEqual({ name: ' <b>', email: '', phone: '' });
    expect(sentCustomer(null)).toEqual({ name: '', email: '', phone: '' });
  });
});

it('checks the last digit of numbers that card brands publish for tests', () => {
  const numbers = ['4111111111111111', '5555555555554444', '378282246310005', '6011111111111117'];
  expect(numbers.map(isLuhnValid)).toEqual([true, true, true, true]);
  const others = numbers.map((number) => number.slice(0, -1) + String((Number(number.at(-1)) + 1) % 10));
  expect(others.map(isLuhnValid)).toEqual([false, false, false, false]);
});

it('lets a card expire with its month', () => {
  expect(isExpired('02/28', new Date('2028-02-29T23:59:59Z'))).toBe(false);
  expect(isExpired('02/28', new Date('2028-03-01T00:00:00Z'))).toBe(true);
  expect(isExpired('12/28', new Date('2028-12-31T23:59:59Z'))).toBe(false);
  expect(isExpired('soon', new Date(0))).toBe(true);
});
