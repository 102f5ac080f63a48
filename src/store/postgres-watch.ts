/** Revocations told by PostgreSQL: LISTEN on a connection of its own, kept up through restarts and proven to deliver. */
import { randomBytes } from 'node:crypto';
import { StoreError } from '../errors.js';
import type { ChannelState } from '../keys/ports.js';
import { isUuid } from './columns.js';
import { endClient, settlesWithin } from './ending.js';
import { type Doubt, NotificationProof, type Notify } from './notification-proof.js';
import { onlyReads, storeError } from './postgres-errors.js';
import type { Notification, PgOwnClient } from './connections.js';

/** Waits between attempts to connect again: doubled up to the longest, plus up to as much again at random. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 15_000;

/** A connection that was cut off without a word, and a channel that went silent, are noticed by asking. */
const HEARTBEAT_MS = 15_000;
/** For the answer to a statement, and for a notification to come back. */
const PROOF_MS = 5_000;
/** A proof takes milliseconds; a start waits no longer than this for one that does not come. */
const START_MS = 1_000;

type Listener = (fingerprints: readonly string[] | 'unknown') => void;

export interface RevocationWatchOptions {
  readonly channel: string;
  readonly newClient: () => Promise<PgOwnClient>;
  /** Repeats an attempt to connect while a start may wait. */
  readonly patiently: <T>(connect: () => Promise<T>) => Promise<T>;
  /** Sends a notification over another connection than the one that listens. */
  readonly notify: Notify;
  readonly pollEveryMs: number;
  readonly listener: Listener;
  readonly onChannel: (state: ChannelState) => void;
}

/**
 * One listening connection. The listener is told 'unknown' where messages may have been lost: after the connection broke
 * and came back, and every `pollEveryMs` for as long as no notification comes through. Neither the connection nor its
 * timers keep the process alive.
 */
export class RevocationWatch {
  readonly #options: RevocationWatchOptions;
  readonly #proof: NotificationProof;
  #client: PgOwnClient | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** Whether the channel is known to be silent, which is told once. */
  #isSilent = false;
  #stopped = false;
  /** The next heartbeat or the next attempt to connect. */
  #next: NodeJS.Timeout | undefined;
  /** Runs while there is no connection and the channel is not known to be silent. */
  #patience: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: RevocationWatchOptions) {
    this.#options = options;
    // A channel of its own: what others listen to must not wake them at each heartbeat of everybody.
    this.#proof = new NotificationProof(`fieldseal_proof_${randomBytes(8).toString('hex')}`, options.notify);
  }

  /** Connects; a failure of this first attempt is thrown. Whether the channel delivers is mostly known by then. */
  async start(): Promise<void> {
    try {
      const prove = await this.#options.patiently(() => this.#connect('foreground'));
      await settlesWithin(START_MS, prove());
    } catch (error) {
      throw storeError(error, 'listening for revocations');
    }
  }

  /** False when the connection had to be cut off. */
  async stop(): Promise<boolean> {
    this.#stopped = true;
    for (const timer of [this.#next, this.#patience, this.#poll]) clearTimeout(timer);
    this.#proof.giveUp();
    // Whoever awaits the end must not find the process ended before it, for want of anything that keeps it alive.
    this.#client?.ref();
    return this.#client === undefined || endClient(this.#client);
  }

  /**
   * In the background not even the attempt keeps the process alive; somebody awaits the one in the foreground. Gives what
   * is to be done next: the first heartbeat.
   */
  async #connect(where: 'foreground' | 'background'): Promise<() => Promise<void>> {
    const client = await this.#options.newClient();
    if (where === 'background') client.unref();
    client.on('error', () => {
      this.#lose(client);
    });
    client.on('end', () => {
      this.#lose(client);
    });
    client.on('notification', (message) => {
      this.#hear(message);
    });
    this.#client = client;
    let refusal: Doubt | undefined;
    try {
      await client.connect();
      refusal = await this.#listen(client);
      client.unref();
    } catch (error) {
      this.#client = undefined;
      void endClient(client);
      throw error;
    }
    if (this.#stopped) void endClient(client);
    this.#retryMs = FIRST_RETRY_MS;
    return () => this.#beat(client, () => Promise.resolve(refusal));
  }

  /** Undefined, or why this server takes no LISTEN: a hot standby does not, until it is promoted. */
  async #listen(client: PgOwnClient): Promise<Doubt | undefined> {
    const sql = `LISTEN "${this.#options.channel}"; LISTEN "${this.#proof.channel}"`;
    try {
      await client.query({ text: sql, query_timeout: PROOF_MS });
      return undefined;
    } catch (error) {
      if (!onlyReads(error)) throw error;
      return { reason: tellsNothing(), expected: true };
    }
  }

  /** Listens once more, since a standby may have been promoted. */
  async #beat(client: PgOwnClient, listen = () => this.#listen(client)): Promise<void> {
    if (this.#stopped) return;
    try {
      await this.#judge(client, await listen());
    } catch {
      this.#lose(client);
    }
  }

  /** Nothing is sent over the listening connection meanwhile: a pooler would hand what it hears to whoever uses it. */
  async #judge(client: PgOwnClient, refusal: Doubt | undefined): Promise<void> {
    const doubt = refusal ?? (await this.#proof.failure(client, PROOF_MS));
    if (this.#client !== client || this.#stopped) return;
    if (doubt === undefined) this.#delivers();
    else this.#isNotHeard(doubt);
    const untilNext = this.#isSilent ? Math.min(HEARTBEAT_MS, this.#options.pollEveryMs) : HEARTBEAT_MS;
    this.#later(untilNext, () => this.#beat(client));
  }

  #delivers(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (!this.#isSilent) return;
    this.#isSilent = false;
    clearTimeout(this.#poll);
    this.#options.onChannel({ delivers: true });
    this.#options.listener('unknown');
  }

  #isNotHeard({ reason, expected }: Doubt): void {
    if (this.#isSilent || this.#stopped) return;
    this.#isSilent = true;
    const { pollEveryMs, listener, onChannel } = this.#options;
    this.#poll = setInterval(() => {
      listener('unknown');
    }, pollEveryMs).unref();
    onChannel({ delivers: false, expected, reason: reason.message, pollEveryMs });
    listener('unknown');
  }

  /** Called for every sign of a broken connection; only the first one counts. */
  #lose(client: PgOwnClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#proof.giveUp();
    void endClient(client);
    this.#patience ??= setTimeout(() => {
      const why = `the connection that listens is lost, and no other one was proven within ${PROOF_MS / 1_000} s`;
      this.#isNotHeard({ reason: new StoreError('ERR_STORE_UNAVAILABLE', why), expected: false });
    }, PROOF_MS).unref();
    this.#connectLater();
  }

  #connectLater(): void {
    const delayMs = this.#retryMs * (1 + Math.random());
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    this.#later(delayMs, () => this.#connectAgain());
  }

  async #connectAgain(): Promise<void> {
    let prove: () => Promise<void>;
    try {
      prove = await this.#connect('background');
    } catch {
      this.#connectLater();
      return;
    }
    if (!this.#stopped) this.#options.listener('unknown');
    await prove();
  }

  /** A payload that is no fingerprint was not sent by the trigger: whatever it stands for, states must be looked up. */
  #hear({ channel, payload }: Notification): void {
    if (this.#stopped || this.#proof.takes(channel, payload)) return;
    this.#options.listener(payload !== undefined && isUuid(payload) ? [payload] : 'unknown');
  }

  #later(delayMs: number, task: () => Promise<void>): void {
    clearTimeout(this.#next);
    if (!this.#stopped) this.#next = setTimeout(() => void task(), delayMs).unref();
  }
}

function tellsNothing(): StoreError {
  return new StoreError(
    'ERR_STORE_UNAVAILABLE',
    'a hot standby tells of no revocation; with watch: { connectionString } of the primary they are looked up at once as well',
  );
}
