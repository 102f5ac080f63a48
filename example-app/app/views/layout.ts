import { html, type Html } from './html.js';

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Seconds after which the browser loads the page again. */
  readonly refreshSeconds?: number;
}

export function layout({ title, body, refreshSeconds }: Page): Html {
  const refresh =
    refreshSeconds === undefined
      ? undefined
      : html`<meta http-equiv="refresh" content="${refreshSeconds}" />`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        ${refresh}
        <title>${title} – Shop</title>
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`;
}
