import { z } from 'zod';
import { isLuhnValid } from '../models/card-number.js';
import { isExpired, isExpiry } from '../models/expiry.js';
import { sentText, textField } from './form.js';

const NUMBER = 'Enter the 13 to 19 digits on the card.';
const EXPIRES = 'Enter the expiry date as MM/YY.';
const CVV = 'Enter the 3 or 4 digits of the security code.';

/**
 * A card to be stored. The CVV is checked for its form and goes no further than this schema: it may not be stored, logged
 * or queued (PCI DSS 3.3.1), and the payment tier charges later, when it is gone. A shop that wants it checked sends it to
 * the acquirer within this request and forgets it.
 */
export const cardForm = z
  .object({
    number: textField(NUMBER)
      .transform((text) => text.replaceAll(/[ -]/gu, ''))
      .refine((digits) => /^\d{13,19}$/u.test(digits), { error: NUMBER, abort: true })
      .refine(isLuhnValid, { error: 'This is no card number: a digit is wrong.' }),
    expires: textField(EXPIRES)
      .refine(isExpiry, { error: EXPIRES, abort: true })
      .refine((expires) => !isExpired(expires, new Date()), { error: 'This card has expired.' }),
    cvv: textField(CVV).regex(/^\d{3,4}$/u, { error: CVV }),
  })
  .transform(({ number, expires }) => ({ pan: number, expires }));

export type CardValues = z.infer<typeof cardForm>;

const CARD_FIELDS = ['number', 'expires', 'cvv'] as const;

/** Whether anything of a card was filled in: on the page of registration it need not be. */
export function hasCard(body: unknown): boolean {
  return CARD_FIELDS.some((field) => sentText(body, field).trim() !== '');
}
