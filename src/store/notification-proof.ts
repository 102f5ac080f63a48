/** Shows that notifications come through: one with a random word, sent over another connection, must come back. */
import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { isFieldSealError, StoreError } from '../errors.js';
import type { PgOwnClient } from './connections.js';

const AGAIN_MS = 500;

/** False where the server is a hot standby, which sends none. */
export type Notify = (channel: string, payload: string, limitMs: number) => Promise<boolean>;

/** Why a channel is not to be relied on. `expected`: it cannot be otherwise where the process was connected to. */
export interface Doubt {
  readonly reason: StoreError;
  readonly expected: boolean;
}

interface Awaited {
  readonly word: string;
  settle(isBack: boolean): void;
}

export class NotificationProof {
  /** What the connection in question must listen to as well. */
  readonly channel: string;
  readonly #notify: Notify;
  #awaited: Awaited | undefined;

  /** @param notify Over another connection: behind a pooler one's own comes back, and nobody else's. */
  constructor(channel: string, notify: Notify) {
    this.channel = channel;
    this.#notify = notify;
  }

  /**
   * Undefined when the word came back to `client` in time, else why not. One statement on each connection, the one that
   * sends again while it fails: a connection that broke with the server is replaced then, and says nothing of the channel.
   * @throws what a statement on `client` throws.
   */
  async failure(client: PgOwnClient, limitMs: number): Promise<Doubt | undefined> {
    const end = performance.now() + limitMs;
    const isPooled = await isNotItsBackend(client, limitMs);
    for (;;) {
      const leftMs = Math.max(1, end - performance.now());
      try {
        const answer = await this.#comesBack(leftMs);
        if (answer === 'no sender') return { reason: aheadOfCopy(), expected: true };
        return answer === 'back' ? undefined : { reason: notBack(limitMs, isPooled), expected: false };
      } catch (error) {
        if (performance.now() + AGAIN_MS > end) return { reason: notSent(error), expected: false };
        await setTimeout(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  /** Whether a notification was meant for this proof. */
  takes(channel: string, payload: string | undefined): boolean {
    if (channel !== this.channel) return false;
    if (this.#awaited?.word === payload) this.#awaited?.settle(true);
    return true;
  }

  /** Ends a wait: the connection is gone. */
  giveUp(): void {
    this.#awaited?.settle(false);
  }

  async #comesBack(limitMs: number): Promise<'back' | 'lost' | 'no sender'> {
    this.giveUp();
    const word = randomBytes(16).toString('hex');
    let timer: NodeJS.Timeout | undefined;
    const isBack = new Promise<boolean>((settle) => {
      this.#awaited = { word, settle };
      timer = globalThis.setTimeout(settle, limitMs, false).unref();
    });
    try {
      if (!(await this.#notify(this.channel, word, limitMs))) return 'no sender';
      return (await isBack) ? 'back' : 'lost';
    } finally {
      clearTimeout(timer);
      this.#awaited = undefined;
    }
  }
}

/** A pooler has told the client of a backend that it made up. Session poolers do so too and deliver: it is a hint, no proof. */
async function isNotItsBackend(client: PgOwnClient, limitMs: number): Promise<boolean> {
  const { rows } = await client.query({
    text: 'SELECT pg_backend_pid()::text AS pid',
    query_timeout: limitMs,
  });
  return (rows[0] as { readonly pid?: unknown } | undefined)?.pid !== String(client.processID);
}

function notBack(limitMs: number, isPooled: boolean): StoreError {
  const cause = isPooled
    ? 'a pooler stands between, and one in transaction mode delivers none'
    : 'something between drops it, or the connection leads to another database than that of the keys';
  return new StoreError(
    'ERR_STORE_UNAVAILABLE',
    `a notification to this process itself did not come back within ${limitMs / 1_000} s: ${cause}; give the channel a direct connection, watch: { connectionString }`,
  );
}

/** Even a notification that comes through says what the copy, where states are looked up, may not know yet. */
function aheadOfCopy(): StoreError {
  return new StoreError(
    'ERR_STORE_UNAVAILABLE',
    'states are looked up at a hot standby, which may not have yet what the channel of the primary tells',
  );
}

function notSent(error: unknown): StoreError {
  const why = isFieldSealError(error) ? error.message : 'The database failed in an unknown way.';
  return new StoreError('ERR_STORE_UNAVAILABLE', `no notification could be sent to prove it. ${why}`);
}
