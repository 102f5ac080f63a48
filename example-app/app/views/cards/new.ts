import type { Errors } from '../../forms/form.js';
import { cardFields, csrfField } from '../field.js';
import { html } from '../html.js';
import type { Page } from '../layout.js';

export interface NewCard {
  readonly customerId: string;
  readonly csrfToken: string;
  readonly errors: Errors;
}

export function newCard({ customerId, csrfToken, errors }: NewCard): Page {
  return {
    title: 'Add a card',
    body: html`<form method="post" action="/customers/${customerId}/cards">
      ${csrfField(csrfToken)} ${cardFields(errors)}
      <button>Add card</button>
    </form>`,
  };
}
