/** Signed lists of public keys in the shop's database: the key tier puts them there, the web tier reads them. */
import { Client } from 'pg';

const READ = 'SELECT list FROM public_key_lists WHERE purpose = $1';
const PUBLISH = `INSERT INTO public_key_lists (purpose, list) VALUES ($1, $2)
  ON CONFLICT (purpose) DO UPDATE SET list = $2`;

/** Connects for each call, of which there are a few in an hour, and the first of them before there is a DataSource. */
export class PublicKeyLists {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Empty where none was published yet: the reader refuses that as it refuses any other text without a signature. */
  async read(purpose: string): Promise<string> {
    const [row] = await this.#query<{ readonly list: string }>(READ, [purpose]);
    return row?.list ?? '';
  }

  async publish(purpose: string, list: string): Promise<void> {
    await this.#query(PUBLISH, [purpose, list]);
  }

  async #query<Row extends object>(sql: string, values: readonly string[]): Promise<readonly Row[]> {
    const client = new Client({
      connectionString: this.#url,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
    });
    // A connection that is lost is told by the query as well; without a listener it would end the process.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  }
}
