/** Revocations told by PostgreSQL: LISTEN on a connection of its own, kept up through restarts of the server. */
import { isUuid } from './columns.js';
import type { PgOwnClient } from './connections.js';
import { storeError } from './postgres-errors.js';

/** Waits between attempts to connect again: doubled up to the longest, plus up to as much again at random. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 15_000;

/** A connection that was cut off without a word is noticed by asking. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;

type Listener = (fingerprints: readonly string[] | 'unknown') => void;

/**
 * One listening connection. After it broke and came back the listener is told 'unknown', since messages sent in
 * between are lost. Neither the connection nor its timers keep the process alive.
 */
export class RevocationWatch {
  readonly #newClient: () => Promise<PgOwnClient>;
  readonly #channel: string;
  readonly #listener: Listener;
  #client: PgOwnClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(newClient: () => Promise<PgOwnClient>, channel: string, listener: Listener) {
    this.#newClient = newClient;
    this.#channel = channel;
    this.#listener = listener;
  }

  /** Connects; a failure of this first attempt is thrown. */
  async start(): Promise<void> {
    try {
      await this.#connect('foreground');
    } catch (error) {
      throw storeError(error, 'listening for revocations');
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // Whoever awaits the end must not find the process ended before it, for want of anything that keeps it alive.
    this.#client?.ref();
    await this.#client?.end().catch(() => undefined);
  }

  /** In the background not even the attempt keeps the process alive; somebody awaits the one in the foreground. */
  async #connect(where: 'foreground' | 'background'): Promise<void> {
    const client = await this.#newClient();
    if (where === 'background') client.unref();
    client.on('error', () => {
      this.#lose(client);
    });
    client.on('end', () => {
      this.#lose(client);
    });
    client.on('notification', ({ payload }) => {
      this.#tell(payload);
    });
    this.#client = client;
    try {
      await client.connect();
      await client.query({ text: `LISTEN "${this.#channel}"`, query_timeout: HEARTBEAT_TIMEOUT_MS });
      client.unref();
    } catch (error) {
      this.#client = undefined;
      void client.end().catch(() => undefined);
      throw error;
    }
    if (this.#stopped) return void client.end().catch(() => undefined);
    this.#retryMs = FIRST_RETRY_MS;
    this.#later(HEARTBEAT_MS, () => this.#beat(client));
  }

  async #beat(client: PgOwnClient): Promise<void> {
    try {
      await client.query({ text: 'SELECT 1', query_timeout: HEARTBEAT_TIMEOUT_MS });
      if (this.#client === client) this.#later(HEARTBEAT_MS, () => this.#beat(client));
    } catch {
      this.#lose(client);
    }
  }

  /** Called for every sign of a broken connection; only the first one counts. */
  #lose(client: PgOwnClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    void client.end().catch(() => undefined);
    this.#connectLater();
  }

  #connectLater(): void {
    const delayMs = this.#retryMs * (1 + Math.random());
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    this.#later(delayMs, () => this.#connectAgain());
  }

  async #connectAgain(): Promise<void> {
    try {
      await this.#connect('background');
    } catch {
      this.#connectLater();
      return;
    }
    if (!this.#stopped) this.#listener('unknown');
  }

  /** A payload that is no fingerprint was not sent by the trigger: whatever it stands for, states must be looked up. */
  #tell(payload: string | undefined): void {
    if (this.#stopped) return;
    this.#listener(payload !== undefined && isUuid(payload) ? [payload] : 'unknown');
  }

  #later(delayMs: number, task: () => Promise<void>): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void task(), delayMs).unref();
  }
}
