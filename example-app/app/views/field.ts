import type { Errors } from '../forms/form.js';
import { html, type Html } from './html.js';

export interface Field {
  readonly name: string;
  readonly label: string;
  /** https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill */
  readonly autocomplete: string;
  readonly value?: string;
  readonly type?: 'text' | 'email' | 'tel';
}

export function field({ name, label, autocomplete, value, type = 'text' }: Field, errors: Errors): Html {
  const wrong = errors[name] === undefined ? undefined : html`<span class="wrong">${errors[name]}</span>`;
  return html`<label>
    ${label} ${wrong}
    <input type="${type}" name="${name}" autocomplete="${autocomplete}" value="${value}" />
  </label>`;
}

/** The token that tells our own form from one on another site. */
export function csrfField(token: string): Html {
  return html`<input type="hidden" name="_csrf" value="${token}" />`;
}

/** Fields of a card. What was typed in is never sent back to the browser, wrong or not. */
export function cardFields(errors: Errors): readonly Html[] {
  return [
    field({ name: 'number', label: 'Card number', autocomplete: 'cc-number' }, errors),
    field({ name: 'expires', label: 'Expires (MM/YY)', autocomplete: 'cc-exp' }, errors),
    field({ name: 'cvv', label: 'Security code', autocomplete: 'cc-csc' }, errors),
  ];
}
