/** What the tests type into forms. The run's scan looks for the number and the name in everything that was printed. */
import { CANARY_TEXTS } from '@fieldseal/test-support';

const [name, number] = CANARY_TEXTS as readonly [string, string];

export const CUSTOMER = {
  name: `${name} O'Hara`,
  email: 'wanda.canary@example.com',
  phone: '+48 22 555 01 77',
};
export const CARD = { number, expires: '12/49', cvv: '7391' };
export const DECLINED_CARD = { number: '4000000000000002', expires: '11/49', cvv: '8264' };

/** What must stand in no log; a CVV is looked for by `cvvIn`. */
export const SECRETS = [...Object.values(CUSTOMER), CARD.number, DECLINED_CARD.number, CARD.expires];

/** Whether the digits of a CVV stand by themselves: not within a longer number, an id or bytes in hex. */
export function cvvIn(text: string): boolean {
  return [CARD, DECLINED_CARD].some(({ cvv }) =>
    new RegExp(`(?<![\\w.:[-])${cvv}(?![\\w.:-])`, 'u').test(text),
  );
}
