import type { Card } from '../../models/card.js';
import { shownMask } from '../../models/card-number.js';
import type { Customer } from '../../models/customer.js';
import { html, type Html } from '../html.js';
import type { Page } from '../layout.js';

const REFRESH_SECONDS = 2;

/** The page of a customer: what the web tier can still show, which is neither name nor number. */
export function showCustomer({ id, cards }: Customer): Page {
  const isPending = cards.some(({ charges }) => charges.some(({ state }) => state === 'pending'));
  return {
    title: 'Your cards',
    ...(isPending && { refreshSeconds: REFRESH_SECONDS }),
    body: html`<p class="note">
        Your name, e-mail address and phone number are stored; only the payment tier can read them, and your
        card numbers. This page cannot show them again.
      </p>
      ${cards.length === 0 ? html`<p>No card yet.</p>` : cardTable(cards)}
      <p><a href="/customers/${id}/cards/new">Add a card</a></p>`,
  };
}

function cardTable(cards: readonly Card[]): Html {
  return html`<table>
    <thead>
      <tr>
        <th>Card</th>
        <th>Amount</th>
        <th>State</th>
      </tr>
    </thead>
    <tbody>
      ${cards.flatMap(cardRows)}
    </tbody>
  </table>`;
}

function cardRows({ panMask, charges }: Card): readonly Html[] {
  return charges.map(
    ({ amountCents, state }) =>
      html`<tr>
        <td>${shownMask(panMask)}</td>
        <td>${(amountCents / 100).toFixed(2)} EUR</td>
        <td>${state}</td>
      </tr>`,
  );
}
