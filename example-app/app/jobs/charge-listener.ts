import { Client } from 'pg';
import type { Logger } from 'pino';

/** Hears of new charges by LISTEN, on a connection of its own: a pool may give its connections away. */
export class ChargeListener {
  readonly #url: string;
  readonly #wake: () => void;
  readonly #log: Logger;
  #client: Client | undefined;

  constructor(url: string, wake: () => void, log: Logger) {
    this.#url = url;
    this.#wake = wake;
    this.#log = log;
  }

  /** Connects where there is no connection. Until then cron finds what is pending. */
  async connect(): Promise<void> {
    if (this.#client !== undefined) return;
    const client = new Client({ connectionString: this.#url, connectionTimeoutMillis: 5_000 });
    this.#client = client;
    client.on('notification', this.#wake);
    client.on('error', () => undefined);
    client.on('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    try {
      await client.connect();
      await client.query('LISTEN charges');
    } catch (error) {
      this.#log.error({ err: error }, 'no LISTEN, cron tries again');
      this.#client = undefined;
      void client.end().catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#client?.end();
  }
}
