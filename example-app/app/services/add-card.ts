import type { EntityManager } from 'typeorm';
import type { CardValues } from '../forms/card-form.js';
import { Card } from '../models/card.js';
import { Charge } from '../models/charge.js';

/** What a customer pays when a card is added. */
const FIRST_MONTH_CENTS = 19_99;

/** Stores a card and orders its first charge. Call it in a transaction: the charge wakes the payment tier at COMMIT. */
export async function addCard(manager: EntityManager, customerId: string, values: CardValues): Promise<void> {
  const card = manager.create(Card, { ...values, customerId });
  await manager.insert(Card, card);
  await manager.insert(Charge, manager.create(Charge, { cardId: card.id, amountCents: FIRST_MONTH_CENTS }));
}
