/** A browser in a few lines: keeps cookies, fills in forms. What it types in, it does not print. */
export class Browser {
  readonly #base: string;
  readonly #cookies = new Map<string, string>();

  constructor(base: string) {
    this.#base = base;
  }

  get(path: string): Promise<Answer> {
    return this.#send(path, {});
  }

  /** Loads the page of a form, fills its fields in and sends it to where it says. */
  async submit(page: string, fields: Readonly<Record<string, string>>): Promise<Answer> {
    const { body } = await this.get(page);
    const [, action] = /<form method="post" action="([^"]+)"/u.exec(body) ?? [];
    const [, token] = /name="_csrf" value="([^"]+)"/u.exec(body) ?? [];
    if (action === undefined || token === undefined) throw new Error(`There is no form at ${page}.`);
    return this.#send(action, { method: 'POST', body: new URLSearchParams({ ...fields, _csrf: token }) });
  }

  async #send(path: string, request: RequestInit): Promise<Answer> {
    const cookie = [...this.#cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(new URL(path, this.#base), {
      ...request,
      redirect: 'manual',
      headers: { cookie },
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/u.exec(set) ?? [];
      if (name !== undefined && value !== undefined) this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location !== null) return this.get(location);
    return { status: response.status, path, headers: response.headers, body: await response.text() };
  }
}

export interface Answer {
  readonly status: number;
  /** Of the page that was shown in the end. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}
