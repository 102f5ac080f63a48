/**
 * Stands for the company that charges cards. Its books are a database of its own, as theirs would be: they outlive a
 * payment process that is killed, and one idempotency key is booked in them once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { isExpired } from '../models/expiry.js';

export interface ChargeRequest {
  readonly idempotencyKey: string;
  readonly pan: string;
  readonly expires: string;
  readonly amountCents: number;
}

export interface Answer {
  readonly outcome: 'charged' | 'declined';
  readonly reason: string | null;
}

/** Card numbers with an answer of their own, as test systems of acquirers have them. */
const DECLINED: ReadonlyMap<string, string> = new Map([
  ['4000000000000002', 'card_declined'],
  ['4000000000009995', 'insufficient_funds'],
  ['4000000000000069', 'expired_card'],
]);

export const CREATE_BOOKS = `CREATE TABLE bookings (
  idempotency_key uuid PRIMARY KEY,
  amount_cents integer NOT NULL,
  outcome text NOT NULL,
  reason text,
  requests integer NOT NULL DEFAULT 1
)`;

/** A key that is known already gets its first answer, whatever else stands in the request. */
const BOOK = `INSERT INTO bookings AS booked (idempotency_key, amount_cents, outcome, reason) VALUES ($1, $2, $3, $4)
  ON CONFLICT (idempotency_key) DO UPDATE SET requests = booked.requests + 1
  RETURNING outcome, reason`;

export class SimulatedAcquirer {
  readonly #books: Pool;
  readonly #delayMs: number;

  /** @param delayMs How long it takes, before it books a charge and again before it answers. */
  constructor(booksUrl: string, delayMs: number) {
    this.#books = new Pool({ connectionString: booksUrl, max: 1 });
    // A connection that is lost while idle is made anew by the pool.
    this.#books.on('error', () => undefined);
    this.#delayMs = delayMs;
  }

  async charge(request: ChargeRequest): Promise<Answer> {
    await sleep(this.#delayMs);
    const { outcome, reason } = decide(request);
    const { rows } = await this.#books.query<Answer>(BOOK, [
      request.idempotencyKey,
      request.amountCents,
      outcome,
      reason,
    ]);
    await sleep(this.#delayMs);
    return rows[0]!;
  }

  close(): Promise<void> {
    return this.#books.end();
  }
}

function decide({ pan, expires }: ChargeRequest): Answer {
  const reason = isExpired(expires, new Date()) ? 'expired_card' : DECLINED.get(pan);
  return reason === undefined ? { outcome: 'charged', reason: null } : { outcome: 'declined', reason };
}
