import { html } from '../html.js';
import type { Page } from '../layout.js';

const TEXTS: ReadonlyMap<number, readonly [title: string, text: string]> = new Map([
  [403, ['This form is too old', 'Load the page again and fill it in once more. Nothing was stored.']],
  [404, ['Not found', 'There is nothing at this address.']],
  [
    503,
    [
      'Not available',
      'Your data cannot be protected at the moment, so nothing was stored. Please try again later.',
    ],
  ],
]);

const BAD_REQUEST = ['This request makes no sense', 'Nothing was stored.'] as const;
// Also after a lost answer of the database to COMMIT: then nobody here knows.
const UNKNOWN = ['Something went wrong', 'Look at your cards before you try again.'] as const;

/** A page that says what happened and shows nothing of the error. */
export function errorPage(status: number): Page {
  const [title, text] = TEXTS.get(status) ?? (status < 500 ? BAD_REQUEST : UNKNOWN);
  return { title, body: html`<p>${text}</p>` };
}
