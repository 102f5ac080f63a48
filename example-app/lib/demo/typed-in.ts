/** What the demo types into the forms of the web tier, and never prints. */

export const CUSTOMER = {
  name: 'Wanda Przykładowa-Testowa',
  email: 'wanda.przykladowa@example.com',
  phone: '+48 22 555 01 99',
};

const cvv = '7391';

/** By what the acquirer says to them. */
export const CARDS = {
  good: { number: '4111 1111 1111 1111', expires: '12/49', cvv },
  declined: { number: '4000 0000 0000 0002', expires: '11/49', cvv },
  killed: { number: '5555 5555 5555 4444', expires: '10/49', cvv },
};

/**
 * What must stand in no log. The CVV is too short to be looked for: three or four digits are somewhere in every log. It
 * stands in no column either.
 */
export const SECRETS: readonly string[] = [
  ...Object.values(CUSTOMER),
  ...Object.values(CARDS).flatMap(({ number }) => [number, number.replaceAll(' ', '')]),
];
