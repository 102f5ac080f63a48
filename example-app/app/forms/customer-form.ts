import { z } from 'zod';
import { sentText, textField } from './form.js';

const PHONE = 'Enter a phone number: digits, spaces, brackets and dashes.';

export const customerForm = z.object({
  name: textField('Enter your name.').max(100, { error: 'Enter a name of 100 characters or fewer.' }),
  email: z.email({ error: 'Enter an e-mail address such as ann@example.com.' }).max(254),
  phone: textField(PHONE).regex(/^\+?[\d ()/-]{5,24}$/u, { error: PHONE }),
});

export type CustomerTexts = Readonly<Record<'name' | 'email' | 'phone', string>>;

/** What was typed in, to be shown in the form again. */
export function sentCustomer(body: unknown): CustomerTexts {
  return { name: sentText(body, 'name'), email: sentText(body, 'email'), phone: sentText(body, 'phone') };
}
