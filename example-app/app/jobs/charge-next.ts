import { FormatError, isFieldSealError, OpenError, type ErrorCode } from 'fieldseal';
import type { DataSource, EntityManager } from 'typeorm';
import { Card } from '../models/card.js';
import { Charge } from '../models/charge.js';
import type { Answer, SimulatedAcquirer } from '../services/simulated-acquirer.js';

export interface ChargeParts {
  readonly dataSource: DataSource;
  readonly acquirer: Pick<SimulatedAcquirer, 'charge'>;
}

/**
 * Failures of one card's wrapped key, or of a key pair that it invents, which no later attempt mends. Others are those of
 * the KMS and the key store: the charge waits.
 */
const CARD_IS_DAMAGED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_KEY_NOT_FOUND',
  'ERR_KMS_WRAP_REFUSED',
  'ERR_KMS_KEK_NOT_CONFIGURED',
  'ERR_KEY_COMMITMENT',
]);

/**
 * Charges the oldest pending charge that no other process holds. The row is locked until the result is stored: when this
 * process dies, PostgreSQL lets the lock go and the charge is still pending; the one who takes it next sends the same
 * idempotency key, and the acquirer books it once.
 * @returns The charge with its new state; undefined when none is pending.
 * @throws what KMS, database and acquirer throw; the charge then stays pending.
 */
export function chargeNext({ dataSource, acquirer }: ChargeParts): Promise<Charge | undefined> {
  return dataSource.transaction(async (manager) => {
    const charge = await lockNext(manager);
    if (charge === undefined) return undefined;
    const { outcome, reason } = await answerTo(charge, manager, acquirer);
    await manager.update(Charge, { id: charge.id }, { state: outcome, reason });
    return Object.assign(charge, { state: outcome, reason });
  });
}

async function lockNext(manager: EntityManager): Promise<Charge | undefined> {
  const charge = await manager
    .createQueryBuilder(Charge, 'charge')
    .where({ state: 'pending' })
    .orderBy({ 'charge.createdAt': 'ASC', 'charge.id': 'ASC' })
    .limit(1)
    .setLock('pessimistic_write')
    .setOnLocked('skip_locked')
    .getOne();
  return charge ?? undefined;
}

interface Result {
  readonly outcome: Answer['outcome'] | 'failed';
  readonly reason: string | null;
}

/** The card number lives in this function: it is opened, sent and dropped. */
async function answerTo(
  { id, cardId, amountCents }: Charge,
  manager: EntityManager,
  acquirer: ChargeParts['acquirer'],
): Promise<Result> {
  let card: Card;
  try {
    card = await manager.findOneByOrFail(Card, { id: cardId });
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return { outcome: 'failed', reason: error.code };
  }
  return acquirer.charge({ idempotencyKey: id, pan: card.pan, expires: card.expires, amountCents });
}

function isDamaged(error: unknown): error is { readonly code: ErrorCode } {
  if (!isFieldSealError(error)) return false;
  return error instanceof OpenError || error instanceof FormatError || CARD_IS_DAMAGED.has(error.code);
}
