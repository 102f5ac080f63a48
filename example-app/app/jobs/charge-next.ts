import { FormatError, isFieldSealError, OpenError, type ErrorCode, type FieldSealError } from 'fieldseal';
import type { DataSource, EntityManager } from 'typeorm';
import { Card } from '../models/card.js';
import { Charge } from '../models/charge.js';
import type { Answer, SimulatedAcquirer } from '../services/simulated-acquirer.js';

export interface ChargeParts {
  readonly dataSource: DataSource;
  readonly acquirer: Pick<SimulatedAcquirer, 'charge'>;
}

/** Failures of one card's wrapped key, which no later attempt mends. */
const CARD_IS_DAMAGED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_KMS_WRAP_REFUSED',
  'ERR_KMS_KEK_NOT_CONFIGURED',
  'ERR_KEY_COMMITMENT',
]);

/**
 * Failures of one key of the key store: suspended, gone with a restored backup, or invented by whoever wrote the cell. Which
 * of them it is only an operator can tell, so the charge is set aside. Everything else is the KMS's or the database's, and
 * all charges wait.
 */
const KEY_IS_OUT_OF_REACH: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_KEY_NOT_FOUND',
  'ERR_KEY_STATE',
]);

const ASIDE = () => "now() + interval '1 minute'";

/**
 * Charges the oldest pending charge that no other process holds. The row is locked until the result is stored: when this
 * process dies, PostgreSQL lets the lock go and the charge is still pending; the one who takes it next sends the same
 * idempotency key, and the acquirer books it once.
 * @returns The charge with its new state, pending where it was set aside; undefined when none is to be charged now.
 * @throws what KMS, database and acquirer throw; the charge then stays pending.
 */
export function chargeNext({ dataSource, acquirer }: ChargeParts): Promise<Charge | undefined> {
  return dataSource.transaction(async (manager) => {
    const charge = await lockNext(manager);
    if (charge === undefined) return undefined;
    const { state, reason } = await answerTo(charge, manager, acquirer);
    const aside = state === 'pending' && { nextAttemptAt: ASIDE };
    await manager.update(Charge, { id: charge.id }, { state, reason, ...aside });
    return Object.assign(charge, { state, reason });
  });
}

async function lockNext(manager: EntityManager): Promise<Charge | undefined> {
  const charge = await manager
    .createQueryBuilder(Charge, 'charge')
    .where({ state: 'pending' })
    .andWhere('charge.nextAttemptAt <= now()')
    .orderBy({ 'charge.createdAt': 'ASC', 'charge.id': 'ASC' })
    .limit(1)
    .setLock('pessimistic_write')
    .setOnLocked('skip_locked')
    .getOne();
  return charge ?? undefined;
}

interface Result {
  readonly state: Answer['outcome'] | 'failed' | 'pending';
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
    if (!isFieldSealError(error)) throw error;
    if (isDamaged(error)) return { state: 'failed', reason: error.code };
    if (KEY_IS_OUT_OF_REACH.has(error.code)) return { state: 'pending', reason: error.code };
    throw error;
  }
  const order = { idempotencyKey: id, pan: card.pan, expires: card.expires, amountCents };
  const { outcome, reason } = await acquirer.charge(order);
  return { state: outcome, reason };
}

function isDamaged(error: FieldSealError): boolean {
  return error instanceof OpenError || error instanceof FormatError || CARD_IS_DAMAGED.has(error.code);
}
