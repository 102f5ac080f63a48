import type { CustomerTexts } from '../../forms/customer-form.js';
import type { Errors } from '../../forms/form.js';
import { cardFields, csrfField, field } from '../field.js';
import { html } from '../html.js';
import type { Page } from '../layout.js';

export interface NewCustomer {
  readonly csrfToken: string;
  readonly errors: Errors;
  readonly sent: CustomerTexts;
}

export function newCustomer({ csrfToken, errors, sent }: NewCustomer): Page {
  return {
    title: 'Register',
    body: html`<form method="post" action="/customers">
      ${csrfField(csrfToken)}
      ${field({ name: 'name', label: 'Name', autocomplete: 'name', value: sent.name }, errors)}
      ${field({ name: 'email', label: 'E-mail', autocomplete: 'email', value: sent.email, type: 'email' }, errors)}
      ${field({ name: 'phone', label: 'Phone', autocomplete: 'tel', value: sent.phone, type: 'tel' }, errors)}
      <h2>Card (you can add it later)</h2>
      ${cardFields(errors)}
      <button>Register</button>
    </form>`,
  };
}
