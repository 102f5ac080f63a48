import { describe, expect, it } from 'vitest';
import { html } from '../../example-app/app/views/html.js';

describe('html', () => {
  it('escapes what is put into text and into attributes in either quotes', () => {
    const bad = `<a href="x" title='y'>&amp;</a>`;
    expect(html`<p title="${bad}">${bad}</p>`.toString()).toBe(
      '<p title="&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;">' +
        '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;</p>',
    );
  });

  it('takes HTML of its own as it is, alone and in lists', () => {
    const items = ['<1>', '2'].map((text) => html`<b>${text}</b>`);
    expect(html`<p>${items}</p>`.toString()).toBe('<p><b>&lt;1&gt;</b><b>2</b></p>');
  });

  it('shows numbers, and nothing for undefined', () => {
    expect(html`${1}${undefined}${html`${0}`}`.toString()).toBe('10');
  });
});
